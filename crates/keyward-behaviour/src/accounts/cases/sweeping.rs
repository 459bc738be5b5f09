//! Removing sessions that nobody can use any more.

use keyward::account::{Session, SessionDigest};

use super::{Case, case};
use crate::{
    accounts::bench::{Bench, at, session},
    stores::{Outcome, Problem, same},
};

pub(super) const CASES: &[Case] = &[
    case(
        "R16 a sweep takes what was over before an instant, or unseen since another, and nothing at the instant itself",
        instants,
    ),
    case("R16 a sweep takes all, however many there are, and each once", many),
];

fn instants(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let grace = bench.add("grace")?;
    let begin = |expires: i64, last_seen: i64| -> Result<SessionDigest, Problem> {
        let session = Session { expires: at(expires), last_seen: at(last_seen), ..session(&grace)? };
        accounts.begin(&session, &grace.password)??;
        Ok(session.digest)
    };
    let all = [
        ("over before", begin(99, 10)?, false),
        ("over at the instant", begin(100, 10)?, true),
        ("over behind", begin(101, 10)?, true),
        ("unseen since before", begin(200, 9)?, false),
        ("over and unseen", begin(99, 9)?, false),
        ("neither", begin(200, 50)?, true),
    ];
    same("swept", 3, accounts.sweep(at(100), at(10))?)?;
    for (what, digest, is_there) in all {
        same(what, is_there, accounts.session(&digest)?.is_some())?;
    }
    same("swept again", 0, accounts.sweep(at(100), at(10))?)?;
    same("a moment later", 1, accounts.sweep(at(101), at(10))?)?;
    same("a moment later, by the other time", 1, accounts.sweep(at(101), at(11))?)?;
    same("what is left", 1, accounts.sessions_of(&grace.id)?.len())
}

fn many(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let mut digests = Vec::new();
    // More than a store may take at once.
    for number in 0..6 {
        let account = bench.add(&format!("n{number}"))?;
        for _ in 0..85 {
            digests.push(bench.begin(&account)?.digest);
        }
    }
    let last = bench.add("grace")?;
    let kept = Session { expires: at(2_000), ..session(&last)? };
    accounts.begin(&kept, &last.password)??;
    same("swept", digests.len(), accounts.sweep(at(1_001), at(0))?)?;
    for digest in digests {
        same("found", None, accounts.session(&digest)?)?;
    }
    same("what is left", vec![kept], accounts.sessions_of(&last.id)?)
}
