//! Two guards, as two processes have them, over one server.

mod common;

use common::{patient, until};
use keyward::{Decision, Guard, Keys, MemoryStore, NewKey, Peer, Policy};
use keyward_behaviour::services::redis::Redis;
use keyward_redis::{AwayMode, RedisLimits};

const POLICY: &str = "[limits]\nper_key = [\"3/hour\"]\nfailures = \"2/hour\"\n";

async fn status(guard: &Guard, key: &str) -> u16 {
    let mut request = http::Request::get("/reports").header("Authorization", format!("Bearer {key}")).body(()).unwrap();
    request.extensions_mut().insert(Peer("192.0.2.1".parse().unwrap()));
    match guard.decide(&request).await {
        Decision::Allowed(_) => 200,
        Decision::Denied(denial) => denial.status().as_u16(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_guards_share_quotas_and_failure_budgets() {
    let server = Redis::start().unwrap();
    let store = MemoryStore::new();
    let made = Keys::new(store.clone()).create(NewKey::named("export")).await.unwrap();
    let key = made.secret().expose().to_owned();
    let mut guards = Vec::new();
    let mut all = Vec::new();
    for _ in 0..2 {
        let limits = patient(RedisLimits::builder(server.url())).mode(AwayMode::Deny).connect().await.unwrap();
        all.push(limits.clone());
        guards.push(
            Guard::builder(Policy::from_toml("policy.toml", POLICY).unwrap())
                .store(store.clone())
                .limits(limits)
                .build()
                .unwrap(),
        );
    }
    // Giving up has taken nothing.
    for _ in 0..10 {
        let mut request = http::Request::get("/reports").header("Authorization", format!("Bearer {key}")).body(()).unwrap();
        request.extensions_mut().insert(Peer("192.0.2.1".parse().unwrap()));
        assert!(guards[0].try_decide(&request).is_none(), "a trip has to be waited for");
    }
    for (guard, expected) in [(0, 200), (1, 200), (0, 200), (1, 429), (0, 429)] {
        assert_eq!(status(&guards[guard], &key).await, expected);
    }
    for (guard, expected) in [(0, 401), (1, 401), (0, 429), (1, 429)] {
        assert_eq!(status(&guards[guard], "no-such-key").await, expected);
    }
    server.kill().unwrap();
    until("away", async || all.iter().all(|limits| limits.statistics().away)).await;
    assert_eq!(status(&guards[0], &key).await, 503);
}
