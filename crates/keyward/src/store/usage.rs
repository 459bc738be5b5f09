//! When keys were last used, from where, and how often.
//!
//! A use is noted in memory, by key and secret; a store takes the sums out now and then and keeps them. What was not taken out
//! when a process is killed is lost: uses are for people who wonder whether a key is still needed, and not worth a write each.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{DailyCounts, Day};
use crate::clock::Timestamp;
use crate::key::{KeyDigest, KeyId};
use crate::source::SourceKind;

/// A key that was let in.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Use<'a> {
    /// Which key.
    pub id: &'a KeyId,
    /// Which of its secrets: [`Slot::number`](crate::key::Slot::number).
    pub number: u32,
    /// When the decision began.
    pub at: Timestamp,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// Where the key stood.
    pub source: Option<SourceKind>,
    /// The digest under which the secret should be stored, where it is stored under an older pepper.
    pub better_digest: Option<KeyDigest>,
}

/// How one secret of a key was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotUsage {
    /// Which key.
    pub id: KeyId,
    /// Which of its secrets.
    pub number: u32,
    /// How often it was let in.
    pub count: u64,
    /// How often on each day lately.
    pub days: DailyCounts,
    /// When last.
    pub last_used: Timestamp,
    /// From where last: the address, cut to its /24 (IPv4) or /48 (IPv6), which is enough to recognise one's own network.
    pub network: Option<IpAddr>,
    /// Where the key stood.
    pub source: Option<SourceKind>,
    /// The digest under which the secret should be stored, where it is stored under an older pepper.
    pub better_digest: Option<KeyDigest>,
}

impl SlotUsage {
    /// Both together: the counts added, the rest from the later one.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let count = self.count.saturating_add(other.count);
        let better_digest = self.better_digest.or(other.better_digest);
        let (mut later, earlier) = if other.last_used >= self.last_used { (other, self) } else { (self, other) };
        later.days.add_all(&earlier.days);
        Self { count, better_digest, ..later }
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(four) => {
            let [a, b, c, _] = four.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(six) => {
            let [a, b, c, ..] = six.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}

/// What is summed up: small, since a busy service has it in the processor's caches once for each of its keys.
#[derive(Debug)]
struct Sum {
    /// Of the day of `last_used` alone.
    count: u64,
    last_used: Timestamp,
    network: Option<IpAddr>,
    source: Option<SourceKind>,
}

/// What a sum leaves behind when another day begins.
#[derive(Debug, Default)]
struct OtherDays {
    count: u64,
    days: DailyCounts,
}

impl OtherDays {
    fn add(&mut self, day: Day, count: u64) {
        self.count = self.count.saturating_add(count);
        self.days.add(day, count);
    }
}

#[derive(Debug, Default)]
struct Table {
    sums: HashMap<(KeyId, u32), Sum, ahash::RandomState>,
    /// Each beside a sum.
    other_days: HashMap<(KeyId, u32), OtherDays, ahash::RandomState>,
    /// There are some only while peppers are changed.
    better_digests: HashMap<(KeyId, u32), KeyDigest, ahash::RandomState>,
}

/// Sums of uses, until a store takes them.
///
/// Several tables, one for a few threads each: one for all would be one lock for all.
#[derive(Debug, Default)]
pub struct Ledger {
    tables: [Mutex<Table>; Self::TABLES],
}

impl Ledger {
    const TABLES: usize = 16;
    /// How many secrets a table holds at most. Uses of others are forgotten until the sums are taken.
    pub(crate) const MOST: usize = 8_192;

    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a use. Whether the table is full, so that the sums had better be taken.
    pub fn note(&self, used: &Use<'_>) -> bool {
        let mut table = self.tables[own_table() % Self::TABLES].lock().unwrap_or_else(PoisonError::into_inner);
        let table = &mut *table;
        let at = (*used.id, used.number);
        let is_full = table.sums.len() >= Self::MOST;
        if let Some(sum) = table.sums.get_mut(&at) {
            let (day, of_sum) = (Day::of(used.at), Day::of(sum.last_used));
            if day < of_sum {
                table.other_days.entry(at).or_default().add(day, 1);
            } else if day > of_sum {
                table.other_days.entry(at).or_default().add(of_sum, sum.count);
                *sum = Sum::of(used);
            } else {
                sum.count = sum.count.saturating_add(1);
                if used.at >= sum.last_used {
                    *sum = Sum { count: sum.count, ..Sum::of(used) };
                }
            }
        } else if !is_full {
            table.sums.insert(at, Sum::of(used));
        }
        if let Some(digest) = used.better_digest.filter(|_| table.better_digests.len() < Self::MOST) {
            table.better_digests.insert(at, digest);
        }
        is_full
    }

    /// Takes the sums out.
    pub fn take(&self) -> Vec<SlotUsage> {
        let mut all: HashMap<(KeyId, u32), SlotUsage, ahash::RandomState> = HashMap::default();
        for table in &self.tables {
            let Table { sums, mut other_days, better_digests } =
                std::mem::take(&mut *table.lock().unwrap_or_else(PoisonError::into_inner));
            for ((id, number), Sum { count, last_used, network, source }) in sums {
                let better_digest = better_digests.get(&(id, number)).copied();
                let OtherDays { count: on_other_days, mut days } = other_days.remove(&(id, number)).unwrap_or_default();
                days.add(Day::of(last_used), count);
                let count = count.saturating_add(on_other_days);
                let usage = SlotUsage { id, number, count, days, last_used, network, source, better_digest };
                let usage = match all.remove(&(id, number)) {
                    Some(before) => usage.merged(before),
                    None => usage,
                };
                all.insert((id, number), usage);
            }
        }
        all.into_values().collect()
    }
}

impl Sum {
    fn of(used: &Use<'_>) -> Self {
        Self { count: 1, last_used: used.at, network: used.client.map(network_of), source: used.source }
    }
}

/// Threads are dealt out to the tables in turn.
fn own_table() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! { static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed)); }
    OWN.with(Cell::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(id: KeyId, seconds: i64, network: &str) -> SlotUsage {
        SlotUsage {
            id,
            number: 0,
            count: 1,
            days: DailyCounts::on(Day::numbered(0), 1),
            last_used: Timestamp::from_unix_seconds(seconds),
            network: Some(network.parse().unwrap()),
            source: Some(SourceKind::Header),
            better_digest: None,
        }
    }

    #[test]
    fn addresses_are_cut_to_their_network() {
        for (address, network) in
            [("203.0.113.77", "203.0.113.0"), ("::ffff:203.0.113.77", "203.0.113.0"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1::")]
        {
            assert_eq!(network_of(address.parse().unwrap()), network.parse::<IpAddr>().unwrap(), "{address}");
        }
    }

    #[test]
    fn sums_add_up_and_keep_what_was_last_in_whatever_order_they_come() {
        let id: KeyId = "k".parse().unwrap();
        let (old, new) = (used(id, 1, "192.0.2.0"), used(id, 2, "198.51.100.0"));
        for merged in [old.clone().merged(new.clone()), new.clone().merged(old.clone())] {
            assert_eq!((merged.count, merged.last_used, merged.network), (2, new.last_used, new.network));
            assert_eq!(merged.days, DailyCounts::on(Day::numbered(0), 2));
        }
    }

    #[test]
    fn uses_are_counted_on_their_day_however_late_the_sums_are_taken() {
        const DAY: i64 = 86_400;
        let (ledger, id) = (Ledger::new(), "k".parse::<KeyId>().unwrap());
        let note = |seconds| {
            let at = Timestamp::from_unix_seconds(seconds);
            ledger.note(&Use { id: &id, number: 0, at, client: None, source: None, better_digest: None });
        };
        // Around midnight decisions may come a little out of order.
        [0, DAY - 1, DAY, DAY - 1, 3 * DAY, 3 * DAY - 1].into_iter().for_each(note);
        let sums = ledger.take();
        let days: Vec<_> = sums[0].days.iter().map(|(day, count)| (day.number(), count)).collect();
        assert_eq!((days, sums[0].count), (vec![(0, 3), (1, 1), (2, 1), (3, 1)], 6));
        assert_eq!(sums[0].last_used, Timestamp::from_unix_seconds(3 * DAY));
        // All are counted, though only the latest days are told apart.
        (0..40).map(|day| day * DAY).for_each(note);
        let sums = ledger.take();
        assert_eq!((sums[0].count, sums[0].days.iter().count()), (40, 30));
    }

    #[test]
    fn uses_from_many_threads_are_all_counted_and_taken_once() {
        let (ledger, id) = (Ledger::new(), "k".parse::<KeyId>().unwrap());
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    for second in 0..100 {
                        let at = Timestamp::from_unix_seconds(second);
                        ledger.note(&Use { id: &id, number: 0, at, client: None, source: None, better_digest: None });
                    }
                });
            }
        });
        let sums = ledger.take();
        assert_eq!((sums.len(), sums[0].count, sums[0].last_used), (1, 2_000, Timestamp::from_unix_seconds(99)));
        assert!(ledger.take().is_empty());
    }
}
