//! How often a password may be guessed: per client and account, known or not, and per client over all accounts.
//!
//! A guess is counted before the password is looked at, so that many at once are not more than one after the other; the right one
//! takes its count back. Somebody who locks a client out locks nobody else out, and no session is touched. Refused: to lock an account
//! for everybody, since then anybody could keep its owner out.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyward::account::EmailAddress;

pub(crate) struct Lockout {
    /// By a seeded hash: what is kept is of one size, whatever an outsider writes as an address.
    seed: ahash::RandomState,
    guesses: Mutex<HashMap<u64, Guesses>>,
}

#[derive(Clone, Copy)]
struct Guesses {
    count: u32,
    /// When the window is over, on the steady clock.
    ends: u64,
}

/// A guess that was counted.
pub(crate) struct Guess<'l> {
    lockout: &'l Lockout,
    of_account: u64,
}

impl Lockout {
    pub(crate) const WINDOW: Duration = Duration::from_secs(15 * 60);
    /// Guesses at one account from one client in a window.
    pub(crate) const AT_AN_ACCOUNT: u32 = 10;
    /// Guesses at all accounts from one client in a window.
    pub(crate) const BY_A_CLIENT: u32 = 100;
    /// How many counts are kept at most. Each guess costs an Argon2, so that filling them takes longer than a window.
    const MOST: usize = 131_072;

    pub(crate) fn new() -> Self {
        Self { seed: ahash::RandomState::new(), guesses: Mutex::default() }
    }

    /// Counts a guess, or tells how long there are none. `now` is on the steady clock, in nanoseconds.
    pub(crate) fn guess(&self, client: Option<IpAddr>, address: &EmailAddress, now: u64) -> Result<Guess<'_>, Duration> {
        let client = client.map(network);
        let of_account = self.seed.hash_one((client, Some(address)));
        let of_client = self.seed.hash_one((client, None::<&EmailAddress>));
        let mut guesses = self.guesses();
        for (key, most) in [(of_account, Self::AT_AN_ACCOUNT), (of_client, Self::BY_A_CLIENT)] {
            if let Some(spent) = guesses.get(&key).filter(|spent| spent.ends > now && spent.count >= most) {
                return Err(Duration::from_nanos(spent.ends - now));
            }
        }
        for key in [of_account, of_client] {
            make_room(&mut guesses, key, now);
            let window = u64::try_from(Self::WINDOW.as_nanos()).unwrap_or(u64::MAX);
            let fresh = Guesses { count: 0, ends: now.saturating_add(window) };
            let counted = guesses.entry(key).or_insert(fresh);
            if counted.ends <= now {
                *counted = fresh;
            }
            counted.count += 1;
        }
        Ok(Guess { lockout: self, of_account })
    }

    fn guesses(&self) -> MutexGuard<'_, HashMap<u64, Guesses>> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where all places are taken: those of windows that are over go first, or else the one with the fewest guesses, the oldest of them.
fn make_room(guesses: &mut HashMap<u64, Guesses>, key: u64, now: u64) {
    if guesses.len() < Lockout::MOST || guesses.contains_key(&key) {
        return;
    }
    guesses.retain(|_, spent| spent.ends > now);
    if guesses.len() >= Lockout::MOST
        && let Some(least) = guesses.iter().min_by_key(|(_, spent)| (spent.count, spent.ends)).map(|(key, _)| *key)
    {
        guesses.remove(&least);
    }
}

/// As the failure budget counts clients (R3): an IPv6 client has a /64 for itself.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

impl Guess<'_> {
    /// It was right: what was counted against the account is forgotten. Against the client it stays counted, or one right guess among
    /// many would pay for all of them.
    pub(crate) fn was_right(self) {
        self.lockout.guesses().remove(&self.of_account);
    }
}

impl fmt::Debug for Lockout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lockout").field("counts", &self.guesses().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    fn address(text: &str) -> EmailAddress {
        text.parse().unwrap()
    }

    #[test]
    fn the_eleventh_guess_waits_for_the_window_to_end() {
        let lockout = Lockout::new();
        let client = Some([192, 0, 2, 1].into());
        let ada = address("ada@example.com");
        for minute in 0..10 {
            assert!(lockout.guess(client, &ada, minute * MINUTE).is_ok(), "{minute}");
        }
        assert_eq!(lockout.guess(client, &ada, 10 * MINUTE).err(), Some(Duration::from_secs(5 * 60)));
        assert_eq!(lockout.guess(client, &ada, 15 * MINUTE - 1).err(), Some(Duration::from_nanos(1)));
        // Others are not concerned: another account, another client.
        assert!(lockout.guess(client, &address("bob@example.com"), 10 * MINUTE).is_ok());
        assert!(lockout.guess(Some([192, 0, 2, 2].into()), &ada, 10 * MINUTE).is_ok());
        assert!(lockout.guess(client, &ada, 15 * MINUTE).is_ok());
    }

    #[test]
    fn the_right_one_forgets_the_account_and_not_the_client() {
        let lockout = Lockout::new();
        let client = Some("2001:db8::1".parse().unwrap());
        let ada = address("ada@example.com");
        for _ in 0..10 {
            for _ in 0..9 {
                assert!(lockout.guess(client, &ada, 0).is_ok());
            }
            lockout.guess(client, &ada, 0).unwrap().was_right();
        }
        // A hundred by this client, whose /64 has many addresses.
        let neighbour = Some("2001:db8::ffff".parse().unwrap());
        assert!(lockout.guess(neighbour, &address("bob@example.com"), 0).is_err());
        assert!(lockout.guess(Some("2001:db8:0:1::1".parse().unwrap()), &ada, 0).is_ok());
    }

    #[test]
    fn counts_are_bounded_and_the_fullest_stay() {
        let lockout = Lockout::new();
        let client = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        let ada = address("ada@example.com");
        for _ in 0..10 {
            assert!(lockout.guess(client(0), &ada, 0).is_ok());
        }
        for number in 1..=70_000 {
            assert!(lockout.guess(client(number), &ada, 1).is_ok());
            if lockout.guesses().len() == Lockout::MOST {
                break;
            }
        }
        assert_eq!(lockout.guesses().len(), Lockout::MOST);
        for number in 80_000..80_010 {
            assert!(lockout.guess(client(number), &ada, 2).is_ok());
        }
        assert!(lockout.guesses().len() <= Lockout::MOST);
        assert!(lockout.guess(client(0), &ada, 3).is_err(), "who is locked out stays so");
    }
}
