//! What the tests of several files need.

#![allow(dead_code, unreachable_pub, reason = "each test uses what it needs")]

pub mod proxy;

use std::time::{Duration, Instant};

use keyward::clock::{Clock, SystemClock};
use keyward::limit::{Bucket, Charge, Limits, Quota, Taking, Whose};
use keyward::{Fault, Random, SystemRandom};
use keyward_redis::{RedisBuilder, RedisLimits};

pub fn quota(text: &str) -> Quota {
    text.parse().unwrap()
}

/// Takes of one bucket, waiting where that is needed.
pub async fn take(limits: &RedisLimits, whose: Whose<'_>, quotas: &[Quota], cost: u32) -> Result<Charge, Fault> {
    take_all(limits, &[Bucket { whose, quotas }], cost, false).await
}

pub async fn take_all(limits: &RedisLimits, buckets: &[Bucket<'_>], cost: u32, peek: bool) -> Result<Charge, Fault> {
    limits.take(&Taking { now: SystemClock::new().now(), buckets, cost, peek }).wait().await
}

/// Whether one permission was given.
pub async fn gives(limits: &RedisLimits, owner: &str, of: &str) -> bool {
    take(limits, Whose::Owner(owner), &[quota(of)], 1).await.unwrap().refused_for.is_none()
}

/// A name of its own for each use, where a server is shared.
pub fn name() -> String {
    format!("{:032x}", SystemRandom.identifier())
}

/// Does not give up on a machine where everything else runs at the same time.
pub fn patient(builder: RedisBuilder) -> RedisBuilder {
    builder.timeout(Duration::from_secs(10))
}

/// Waits until something is so, and tells how long that took.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: not within 20 seconds");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}
