//! What a take costs, and a ticket that works once, beside a plain GET over the same kind of connection in the same run.
//!
//! `cargo bench -p keyward-redis`

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::time::{Duration, Instant};

use keyward::clock::{Clock, SystemClock};
use keyward::limit::{Bucket, Limits, Quota, Taking, Whose};
use keyward::ticket::{Spent, UsedTickets};
use keyward_behaviour::services::redis::Redis;
use keyward_redis::{RedisLimits, RedisTickets};

const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    let server = Redis::start().expect("a server");
    let limits = RedisLimits::builder(server.url()).timeout(Duration::from_secs(10)).connect().await.expect("limits");
    let client = redis::Client::open(server.url()).expect("an address");
    let connection = client.get_multiplexed_async_connection().await.expect("a connection");

    let get = async || {
        let value: Option<String> = redis::cmd("GET").arg("absent").query_async(&mut connection.clone()).await.expect("a reply");
        assert_eq!(value, None);
    };
    let quotas: Vec<Quota> = ["1000000/second", "1000000000/hour"].map(|quota| quota.parse().expect("a quota")).into();
    let one = [Bucket { whose: Whose::Owner("a"), quotas: &quotas[..1] }];
    let four = [Bucket { whose: Whose::Owner("b"), quotas: &quotas }, Bucket { whose: Whose::Policy, quotas: &quotas }];
    let clock = SystemClock::new();
    let take = async |buckets: &[Bucket<'_>]| {
        let charge = limits.take(&Taking { now: clock.now(), buckets, cost: 1, peek: false }).wait().await.expect("a charge");
        assert_eq!(charge.refused_for, None);
    };
    let tickets = RedisTickets::builder(server.url()).timeout(Duration::from_secs(10)).connect().await.expect("tickets");
    let make = async || tickets.issue(clock.now()).wait().await.expect("a ticket");
    let make_and_use = async || {
        let spent =
            tickets.spend(&make().await, &"a-key".parse().unwrap(), Duration::from_secs(300), clock.now(), false).wait().await;
        assert_eq!(spent, Ok(Spent::First));
    };
    for in_flight in [1, 32] {
        measure("a plain GET", in_flight, &get).await;
        measure("a take, one quota", in_flight, &async || take(&one).await).await;
        measure("a take, two buckets of two quotas", in_flight, &async || take(&four).await).await;
        measure("a ticket made", in_flight, &async || {
            make().await;
        })
        .await;
        measure("a ticket made, and used", in_flight, &make_and_use).await;
    }
    assert_eq!(limits.statistics().answered_away, 0);
}

/// The best of some rounds: the others had to share the machine.
async fn measure(what: &str, in_flight: usize, once: &impl AsyncFn()) {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let count = 10_000 / in_flight;
        for _ in 0..count {
            futures_util::future::join_all((0..in_flight).map(|_| once())).await;
        }
        let batch = begun.elapsed() / u32::try_from(count).expect("few");
        best = best.min((batch, batch / u32::try_from(in_flight).expect("few")));
    }
    println!("{in_flight:>3} in flight: {what:<36} {:>10.1?} each, {:>10.1?} until all are there", best.1, best.0);
}
