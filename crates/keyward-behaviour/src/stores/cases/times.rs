//! When a key is live, to the nanosecond.

use std::time::Duration;

use keyward::{Kind, NewKey, Timestamp, store::Update};

use super::{Case, case};
use crate::stores::{
    bench::{BEGINNING, Bench},
    problem::{Outcome, same},
    runtime::wait,
};

pub(super) const CASES: &[Case] = &[
    case("R7.4 a key is live until the nanosecond before it expires", expiry),
    case("R7.4 a key is live from the very nanosecond at which it begins", beginning),
    case("R7.4 the old secret is live until the nanosecond before its grace ends", grace),
    case("R7.4 without a grace the old secret ends at once", no_grace),
    case("R7.4 a further rotation ends the older secret at once", older_secret),
    case("R7.4 rotation keeps the id", same_id),
    case("R7.4 times are kept to the nanosecond, at both ends of what can be told", far_times),
    case("R7.4 the moment of a revocation is kept to the nanosecond", revoked_at),
    case("R7.4 a key that is switched off is disabled, and lives again when it is switched on", switched),
    case("R7.4 where a key is dead for several reasons, the one that lasts longest is told", reasons),
];

const ONE: Duration = Duration::from_nanos(1);

fn time(after: i64) -> Timestamp {
    Timestamp::from_unix_nanoseconds(BEGINNING + after)
}

fn expiry(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k").expires_at(time(1_000)))?;
    bench.pass(Duration::from_nanos(999));
    same("one before", Ok(id), bench.ask(&key)?)?;
    bench.pass(ONE);
    same("at it", Err(Kind::Expired), bench.ask(&key)?)?;
    bench.pass(ONE);
    same("one after", Err(Kind::Expired), bench.ask(&key)?)?;
    same("what is kept", Some(time(1_000)), bench.record(&id)?.expires)
}

fn beginning(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k").not_before(time(1_000)))?;
    bench.pass(Duration::from_nanos(999));
    same("one before", Err(Kind::NotYetValid), bench.ask(&key)?)?;
    bench.pass(ONE);
    same("at it", Ok(id), bench.ask(&key)?)?;
    bench.pass(ONE);
    same("one after", Ok(id), bench.ask(&key)?)?;
    same("what is kept", Some(time(1_000)), bench.record(&id)?.not_before)
}

fn grace(bench: &mut Bench) -> Outcome {
    let (id, old) = bench.create(NewKey::named("k"))?;
    let made = wait(bench.keys()?.rotate(&id, Duration::from_nanos(1_000)))?;
    let new = made.secret().expose();
    let ask = |bench: &Bench| Ok::<_, crate::stores::Problem>((bench.ask(&old)?, bench.ask(new)?));
    same("at once", (Ok(id), Ok(id)), ask(bench)?)?;
    bench.pass(Duration::from_nanos(999));
    same("one before", (Ok(id), Ok(id)), ask(bench)?)?;
    bench.pass(ONE);
    same("at its end", (Err(Kind::Expired), Ok(id)), ask(bench)?)?;
    bench.pass(ONE);
    same("one after", (Err(Kind::Expired), Ok(id)), ask(bench)?)?;
    let kept = bench.record(&id)?.previous.as_ref().and_then(|slot| slot.grace_ends);
    same("what is kept", Some(time(1_000)), kept)
}

fn no_grace(bench: &mut Bench) -> Outcome {
    let (id, old) = bench.create(NewKey::named("k"))?;
    same("before", Ok(id), bench.ask(&old)?)?;
    let made = wait(bench.keys()?.rotate(&id, Duration::ZERO))?;
    same("the old one", Err(Kind::Expired), bench.ask(&old)?)?;
    same("the new one", Ok(id), bench.ask(made.secret().expose())?)
}

fn older_secret(bench: &mut Bench) -> Outcome {
    let hour = Duration::from_secs(3_600);
    let (id, first) = bench.create(NewKey::named("k"))?;
    let second = wait(bench.keys()?.rotate(&id, hour))?;
    same("within its grace", Ok(id), bench.ask(&first)?)?;
    let third = wait(bench.keys()?.rotate(&id, hour))?;
    same("the first", Err(Kind::Unknown), bench.ask(&first)?)?;
    same("the second", Ok(id), bench.ask(second.secret().expose())?)?;
    same("the third", Ok(id), bench.ask(third.secret().expose())?)
}

fn same_id(bench: &mut Bench) -> Outcome {
    let (id, _) = bench.create(NewKey::named("k"))?;
    for number in 1..4 {
        let made = wait(bench.keys()?.rotate(&id, Duration::from_secs(1)))?;
        same("id", id, made.record().id)?;
        same("number of the secret", number, made.record().current.number)?;
        let previous = made.record().previous.as_ref().map(|slot| slot.number);
        same("number of the one before", Some(number - 1), previous)?;
    }
    Ok(())
}

fn far_times(bench: &mut Bench) -> Outcome {
    for nanoseconds in [i64::MIN, -1_000_000_001, -1, 0, 1, 999_999_999, 1_767_225_600_999_999_999, i64::MAX - 1, i64::MAX] {
        let at = Timestamp::from_unix_nanoseconds(nanoseconds);
        let (id, _) = bench.create(NewKey::named("k").not_before(at).expires_at(at))?;
        let record = bench.record(&id)?;
        same("not_before and expires", (Some(at), Some(at)), (record.not_before, record.expires))?;
        same("created", bench.now(), record.created)?;
        let update = Update { expires: Some(None), not_before: Some(None), ..Update::default() };
        let record = wait(bench.keys()?.update(&id, update))?;
        same("taken away", (None, None), (record.not_before, record.expires))?;
        let update = Update { expires: Some(Some(at)), not_before: Some(Some(at)), ..Update::default() };
        let _ = wait(bench.keys()?.update(&id, update))?;
        let record = bench.record(&id)?;
        same("updated", (Some(at), Some(at)), (record.not_before, record.expires))?;
    }
    Ok(())
}

fn revoked_at(bench: &mut Bench) -> Outcome {
    let (id, _) = bench.create(NewKey::named("k"))?;
    bench.pass(Duration::from_nanos(1_234_567_891));
    let at = bench.now();
    let revoked = wait(bench.keys()?.revoke(&id))?;
    same("what is told", Some(at), revoked.record().revoked_at())?;
    bench.pass(ONE);
    same("what is kept", Some(at), bench.record(&id)?.revoked_at())
}

fn switched(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    let old = bench.record(&id)?.epoch;
    let off = wait(bench.keys()?.set_disabled(&id, true))?;
    same("switched off", Err(Kind::Disabled), bench.ask(&key)?)?;
    same("whether the epoch is the same", false, off.epoch == old)?;
    let on = wait(bench.keys()?.set_disabled(&id, false))?;
    same("switched on", Ok(id), bench.ask(&key)?)?;
    same("whether the epoch is the same", false, on.epoch == off.epoch)
}

fn reasons(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k").not_before(time(3_600_000_000_000)))?;
    same("not begun", Err(Kind::NotYetValid), bench.ask(&key)?)?;
    let _ = wait(bench.keys()?.expire(&id))?;
    same("expired, too", Err(Kind::Expired), bench.ask(&key)?)?;
    let _ = wait(bench.keys()?.set_disabled(&id, true))?;
    same("disabled, too", Err(Kind::Disabled), bench.ask(&key)?)?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    same("revoked, too", Err(Kind::Revoked), bench.ask(&key)?)
}
