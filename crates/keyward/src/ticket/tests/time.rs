//! Boundaries of time, in nanoseconds.

use super::*;

const SECOND: i64 = 1_000_000_000;

/// What comes of a ticket with these two times, so many nanoseconds after it was made.
fn verify(sort: Sort, issued: u64, expires: u64, nanoseconds: i64) -> Result<(), BadTicket> {
    let ticket = sort.with_claims(&[("iat", &issued.to_string()), ("exp", &expires.to_string())]);
    sort.verify_at(ticket, Timestamp::from_unix_nanoseconds(i64::try_from(MADE).unwrap() * SECOND + nanoseconds))
}

#[test]
fn it_expires_in_the_nanosecond_that_it_says() {
    for sort in Sort::BOTH {
        for (lifetime, ticket) in [(300, MADE + 300), (1, MADE + 1), (30, MADE + 30)] {
            for (offset, expected) in [
                (-SECOND, Ok(())),
                (-1, Ok(())),
                (0, Err(BadTicket::Expired)),
                (1, Err(BadTicket::Expired)),
                (SECOND, Err(BadTicket::Expired)),
                (60 * SECOND, Err(BadTicket::Expired)),
            ] {
                assert_eq!(verify(sort, MADE, ticket, lifetime * SECOND + offset), expected, "{sort:?} {lifetime} s {offset} ns");
            }
        }
    }
}

#[test]
fn it_begins_in_the_nanosecond_that_it_says() {
    for sort in Sort::BOTH {
        for (nanoseconds, expected) in [
            (-60 * SECOND, Err(BadTicket::NotYetValid)),
            (-SECOND, Err(BadTicket::NotYetValid)),
            (-1, Err(BadTicket::NotYetValid)),
            (0, Ok(())),
            (1, Ok(())),
        ] {
            assert_eq!(verify(sort, MADE, MADE + 300, nanoseconds), expected, "{sort:?} {nanoseconds} ns");
        }
        assert_eq!(verify(sort, MADE + 1, MADE + 301, SECOND / 2), Err(BadTicket::NotYetValid));
    }
    for (not_before, expected) in
        [(MADE, Ok(())), (MADE + 1, Err(BadTicket::NotYetValid)), (u64::MAX, Err(BadTicket::NotYetValid)), (0, Ok(()))]
    {
        assert_eq!(Plain.verify(Plain.with_claims(&[("nbf", &not_before.to_string())])), expected, "nbf {not_before}");
    }
}

#[test]
fn it_lives_at_most_as_long_as_the_policy_says() {
    for sort in Sort::BOTH {
        for (issued, expires, expected) in [
            (MADE, MADE + 300, Ok(())),
            (MADE - 299, MADE + 1, Ok(())),
            (MADE, MADE + 301, Err(BadTicket::Malformed)),
            (MADE - 1, MADE + 300, Err(BadTicket::Malformed)),
            (MADE, MADE, Err(BadTicket::Malformed)),
            (MADE, MADE - 1, Err(BadTicket::Malformed)),
            (MADE + 1, MADE, Err(BadTicket::Malformed)),
            (0, MADE + 300, Err(BadTicket::Malformed)),
            (0, 0, Err(BadTicket::Malformed)),
            (0, 300, Err(BadTicket::Expired)),
            (0, 1, Err(BadTicket::Expired)),
            (MADE, u64::MAX, Err(BadTicket::Malformed)),
            (MADE, 1 << 63, Err(BadTicket::Malformed)),
            (MADE, (1 << 63) - 1, Err(BadTicket::Malformed)),
            (MADE, 1 << 53, Err(BadTicket::Malformed)),
            (MADE, 1 << 32, Err(BadTicket::Malformed)),
            (MADE, MADE * 1000, Err(BadTicket::Malformed)),
            (MADE * 1000, MADE * 1000 + 300, Err(BadTicket::NotYetValid)),
            (u64::MAX - 300, u64::MAX, Err(BadTicket::NotYetValid)),
            (u64::MAX, 0, Err(BadTicket::Malformed)),
            (u64::MAX, u64::MAX, Err(BadTicket::Malformed)),
            (1 << 63, (1 << 63) + 300, Err(BadTicket::NotYetValid)),
        ] {
            assert_eq!(verify(sort, issued, expires, SECOND / 2), expected, "{sort:?} {issued} {expires}");
        }
    }
}

#[test]
fn a_shorter_lifetime_holds_at_once_and_none_is_longer_than_300_seconds() {
    let ticket = |lifetime: u64| {
        (
            Keyed.with_claims(&[("exp", &(MADE + lifetime).to_string())]),
            Plain.with_claims(&[("exp", &(MADE + lifetime).to_string())]),
        )
    };
    for (policy, lifetime, good) in [
        (30_000, 30, true),
        (30_000, 31, false),
        (30_999, 30, true),
        (30_999, 31, false),
        (999, 1, false),
        (0, 1, false),
        (3_600_000, 300, true),
        (3_600_000, 301, false),
    ] {
        let expected = if good { Ok(()) } else { Err(BadTicket::Malformed) };
        let (keyed, plain) = ticket(lifetime);
        let terms = Terms { lifetime: Duration::from_millis(policy), ..TERMS };
        let presented = keyed::Presented::parse(keyed.as_bytes()).unwrap();
        assert_eq!(
            presented.verify([&secret()], Epoch::from_bytes(EPOCH), terms, NOW).map(drop),
            expected,
            "{policy} {lifetime}"
        );
        let presented = plain::Presented::parse(plain.as_bytes()).unwrap();
        assert_eq!(presented.verify(SECRET, terms.lifetime, NOW), expected, "{policy} {lifetime}");
    }
}

#[test]
fn what_is_minted_is_good_from_now_until_its_end_at_any_time() {
    for nanoseconds in [0, 1, SECOND - 1, SECOND, 1_800_000_000 * SECOND + 999_999_999, 9_000_000_000 * SECOND] {
        let now = Timestamp::from_unix_nanoseconds(nanoseconds);
        let ticket = plain::mint(SECRET, TERMS.lifetime, now);
        let end = Timestamp::from_unix_seconds(nanoseconds / SECOND + 300);
        let just_before = Timestamp::from_unix_nanoseconds(end.unix_nanoseconds() - 1);
        for (at, expected) in [(now, Ok(())), (just_before, Ok(())), (end, Err(BadTicket::Expired))] {
            assert_eq!(Plain.verify_at(&ticket, at), expected, "{now:?} {at:?}");
        }
    }
    // A clock that stands before 1970 makes tickets that are not good yet, and does not panic.
    let before = Timestamp::from_unix_seconds(-5);
    assert_eq!(Plain.verify_at(plain::mint(SECRET, TERMS.lifetime, before), before), Err(BadTicket::NotYetValid));
    for extreme in [i64::MIN, i64::MAX] {
        let ticket = plain::mint(SECRET, TERMS.lifetime, Timestamp::from_unix_nanoseconds(extreme));
        assert_eq!(Plain.verify_at(ticket, Timestamp::from_unix_nanoseconds(extreme)).is_ok(), extreme > 0);
    }
}
