//! The public parts of tickets (R14): the server's secret, and which tickets have been used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyward::clock::Now;
use keyward::key::KeyId;
use keyward::ticket::{LocalUsedTickets, ServerSecret, Spent, TicketId, UsedTickets};
use keyward::{Answer, Fault, Random, SystemRandom, Timestamp};
use rand::{Rng, RngExt, SeedableRng};

const LIFETIME: Duration = Duration::from_secs(300);
const SECOND: u64 = 1_000_000_000;

fn at(steady: u64) -> Now {
    Now { wall: Timestamp::from_unix_seconds(1_800_000_000), steady }
}

/// What is in memory answers at once.
fn now<T>(answer: Answer<T>) -> Result<T, Fault> {
    match answer {
        Answer::Ready(result) => result,
        Answer::Pending(_) => panic!("it has to be waited for"),
    }
}

fn key() -> KeyId {
    numbered(0)
}

fn numbered(number: u32) -> KeyId {
    format!("key-{number}").parse().unwrap()
}

fn spend(used: &dyn UsedTickets, id: TicketId, steady: u64) -> Spent {
    now(used.spend(&id, &key(), LIFETIME, at(steady), false)).unwrap()
}

#[test]
fn a_ticket_works_once() {
    let used = LocalUsedTickets::new().unwrap();
    let ids: Vec<TicketId> = (0..100).map(|_| now(used.issue(at(0))).unwrap()).collect();
    for (index, id) in ids.iter().enumerate() {
        assert!(!ids[..index].contains(id));
        for _ in 0..2 {
            assert_eq!(now(used.spend(id, &key(), LIFETIME, at(1), true)), Ok(Spent::First), "looking uses nothing up");
        }
        assert_eq!(spend(&used, *id, 1), Spent::First);
        assert_eq!(now(used.spend(id, &key(), LIFETIME, at(2), true)), Ok(Spent::Before));
        assert_eq!(spend(&used, *id, 2), Spent::Before);
        assert_eq!(spend(&used.clone(), *id, 2), Spent::Before, "clones share what they know");
    }
}

#[test]
fn a_ticket_from_before_a_restart_or_from_elsewhere_is_forgotten() {
    let (before, after) = (LocalUsedTickets::new().unwrap(), LocalUsedTickets::new().unwrap());
    let (unused, used) = (now(before.issue(at(0))).unwrap(), now(before.issue(at(0))).unwrap());
    assert_eq!(spend(&before, used, 1), Spent::First);
    for id in [unused, used, TicketId::from_bytes([0; 32]), TicketId::from_bytes([0xff; 32])] {
        assert_eq!(spend(&after, id, 1), Spent::Forgotten);
        assert_eq!(now(after.spend(&id, &key(), LIFETIME, at(1), true)), Ok(Spent::Forgotten));
    }
}

#[test]
fn a_ticket_is_forgotten_after_its_lifetime_by_the_steady_clock_alone() {
    let used = LocalUsedTickets::new().unwrap();
    let fresh = || now(used.issue(at(7 * SECOND))).unwrap();
    let end = 307 * SECOND;
    for (steady, expected) in [(0, Spent::First), (7 * SECOND, Spent::First), (end - 1, Spent::First), (end, Spent::Forgotten)] {
        // The wall clock stands still in all of them.
        assert_eq!(spend(&used, fresh(), steady), expected, "{steady}");
    }
    let short = Duration::from_secs(30);
    assert_eq!(now(used.spend(&fresh(), &key(), short, at(37 * SECOND - 1), false)), Ok(Spent::First));
    assert_eq!(now(used.spend(&fresh(), &key(), short, at(37 * SECOND), false)), Ok(Spent::Forgotten));
    let long = Duration::from_secs(3600);
    assert_eq!(now(used.spend(&fresh(), &key(), long, at(end), false)), Ok(Spent::Forgotten), "never more than 300 s");
}

#[test]
fn a_longer_lifetime_makes_no_used_ticket_good_again() {
    let used = LocalUsedTickets::new().unwrap();
    let id = now(used.issue(at(0))).unwrap();
    assert_eq!(now(used.spend(&id, &key(), Duration::from_secs(10), at(SECOND), false)), Ok(Spent::First));
    for seconds in 1..300 {
        // Others come and go, so that whatever may be cleared away is.
        assert_eq!(spend(&used, now(used.issue(at(seconds * SECOND))).unwrap(), seconds * SECOND), Spent::First);
        assert_eq!(spend(&used, id, seconds * SECOND), Spent::Before, "{seconds}");
    }
}

#[test]
fn after_a_million_others_and_by_a_slow_thread_a_used_ticket_is_not_good_again() {
    let used = LocalUsedTickets::with(Arc::new(SystemRandom), 3_000_000).unwrap();
    let first = now(used.issue(at(0))).unwrap();
    assert_eq!(spend(&used, first, 0), Spent::First);
    for other in 1..=1_000_000 {
        assert_eq!(spend(&used, now(used.issue(at(other))).unwrap(), other), Spent::First);
    }
    assert_eq!(spend(&used, first, 1_000_001), Spent::Before);
    // One use after the end clears it away; a thread that read the clock before that still gets no second use.
    assert_eq!(spend(&used, now(used.issue(at(300 * SECOND))).unwrap(), 300 * SECOND), Spent::First);
    assert_eq!(spend(&used, first, 300 * SECOND - 1), Spent::Forgotten);
}

#[test]
fn when_no_more_can_be_remembered_none_is_good_until_others_are_old() {
    let used = LocalUsedTickets::with(Arc::new(SystemRandom), 200).unwrap();
    let issue = |steady| now(used.issue(at(steady))).unwrap();
    let ids: Vec<TicketId> = (0..100).map(&issue).collect();
    assert!(ids.iter().all(|&id| spend(&used, id, 100) == Spent::First));
    let late = issue(200 * SECOND);
    for peek in [true, false] {
        let fault = now(used.spend(&late, &key(), LIFETIME, at(200 * SECOND), peek)).unwrap_err();
        assert!(fault.to_string().starts_with("the key key-0 has used 100 tickets within 300 s"), "{fault}");
    }
    assert!(ids.iter().all(|&id| spend(&used, id, 200 * SECOND) == Spent::Before), "those that are known still are");
    assert_eq!(spend(&used, late, 300 * SECOND), Spent::First, "the oldest of them has been forgotten");
    assert_eq!(spend(&used, late, 300 * SECOND), Spent::Before);
    // All but that one are old now, and are cleared away faster than new ones come.
    let end = 400 * SECOND;
    assert!((0..99).all(|_| spend(&used, issue(end), end) == Spent::First));
    assert!(now(used.spend(&issue(end), &key(), LIFETIME, at(end), false)).is_err());
}

#[test]
fn one_key_leaves_as_much_room_for_others_as_it_takes() {
    let used = LocalUsedTickets::with(Arc::new(SystemRandom), 8).unwrap();
    let spend_as = |number, steady| {
        let id = now(used.issue(at(steady))).unwrap();
        let looked = now(used.spend(&id, &numbered(number), LIFETIME, at(steady), true));
        let spent = now(used.spend(&id, &numbered(number), LIFETIME, at(steady), false));
        assert_eq!(looked, spent, "looking tells what would happen");
        spent.is_ok()
    };
    for round in 0..2 {
        let steady = round * 300 * SECOND;
        for (number, most) in [(0, 4), (1, 2), (2, 1), (3, 1), (4, 0)] {
            // The second time, each use clears away more than it needs.
            assert_eq!((0..9).filter(|_| spend_as(number, steady)).count(), most, "key {number}, round {round}");
        }
    }
}

#[test]
fn of_many_threads_exactly_one_uses_a_ticket() {
    const THREADS: usize = 8;
    const TICKETS: usize = 2_000;
    let used = LocalUsedTickets::new().unwrap();
    let ids: Vec<TicketId> = (0..TICKETS).map(|_| now(used.issue(at(0))).unwrap()).collect();
    let firsts: Vec<AtomicUsize> = ids.iter().map(|_| AtomicUsize::new(0)).collect();
    let together = std::sync::Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (used, ids, firsts, together) = (&used, &ids, &firsts, &together);
            scope.spawn(move || {
                together.wait();
                for step in 0..TICKETS {
                    // Half go through them from the front, half from the back.
                    let index = if thread % 2 == 0 { step } else { TICKETS - 1 - step };
                    match spend(used, ids[index], 1) {
                        Spent::First => _ = firsts[index].fetch_add(1, Ordering::SeqCst),
                        Spent::Before => {}
                        Spent::Forgotten => panic!("{index}"),
                    }
                }
            });
        }
    });
    assert!(firsts.iter().all(|count| count.load(Ordering::SeqCst) == 1));
}

struct Broken;

impl Random for Broken {
    fn secret(&self, _: &mut [u8]) -> Result<(), Fault> {
        Err(Fault::new("no entropy"))
    }

    fn identifier(&self) -> u128 {
        0
    }
}

#[test]
fn without_randomness_there_are_no_tickets() {
    assert!(LocalUsedTickets::with(Arc::new(Broken), 1).is_err());
    assert!(ServerSecret::generate(&Broken).is_err());
}

#[test]
fn an_id_is_written_in_one_way() {
    let id = now(LocalUsedTickets::new().unwrap().issue(at(0))).unwrap();
    let text = id.to_string();
    assert_eq!((text.len(), text.parse()), (43, Ok(id)));
    assert_eq!(TicketId::from_bytes(id.to_bytes()), id);
    let padded = format!("{text}=");
    let loose = format!("{}B", "A".repeat(42));
    for bad in
        ["", " ", "A", &text[1..], &padded, &format!("{text}A"), &format!(" {text}"), &loose, &"+".repeat(43), &"é".repeat(22)]
    {
        assert!(bad.parse::<TicketId>().is_err(), "{bad}");
    }
}

/// From a seed, so that the test gives the same every time.
#[test]
fn a_random_secret_is_never_weak() {
    const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut random = rand::rngs::StdRng::seed_from_u64(14);
    let mut bytes = [0; 32];
    for _ in 0..20_000 {
        random.fill_bytes(&mut bytes);
        let of = |alphabet: &[u8], length: usize, random: &mut rand::rngs::StdRng| -> Vec<u8> {
            (0..length).map(|_| alphabet[random.random_range(0..alphabet.len())]).collect()
        };
        let secrets = [
            bytes.to_vec(),
            STANDARD.encode(bytes).into_bytes(),
            URL_SAFE_NO_PAD.encode(&bytes[..24]).into_bytes(),
            of(b"0123456789abcdef", 32, &mut random),
            of(BASE62, 32, &mut random),
        ];
        for secret in secrets {
            assert!(ServerSecret::from_bytes(&secret).is_ok(), "{}", String::from_utf8_lossy(&secret));
        }
    }
}
