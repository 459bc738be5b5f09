//! What stands in the server: names that tell nobody anything, in one slot, for as long as it matters (T13).

mod common;

use std::time::Duration;

use common::{patient, quota, take, take_all};
use keyward::limit::{Bucket, Whose};
use keyward_behaviour::services::redis::Redis;
use keyward_redis::{OpenErrorKind, RedisLimits};

#[tokio::test(flavor = "multi_thread")]
async fn names_hold_no_id_no_owner_and_no_address() {
    let server = Redis::start().unwrap();
    // What is sent is seen too: the server's slow log keeps whole commands.
    server.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]).unwrap();
    server.ask(&["CONFIG", "SET", "slowlog-max-len", "1000"]).unwrap();
    let limits = patient(RedisLimits::builder(server.url())).namespace("service-a").connect().await.unwrap();
    let address = "203.0.113.77".parse().unwrap();
    let quotas = [quota("10/minute"), quota("burst=3/second")];
    let whose = [
        Whose::Key("secretkeyid".parse().unwrap()),
        Whose::Identity("ldap", "secretidentity"),
        Whose::Owner("secretowner"),
        Whose::Address(address),
        Whose::Policy,
        Whose::Failures { address, flagged: false },
    ];
    let buckets = whose.map(|whose| Bucket { whose, quotas: &quotas });
    assert_eq!(take_all(&limits, &buckets, 1, false).await.unwrap().standings.len(), 12);

    let keys = server.ask(&["KEYS", "*"]).unwrap();
    let contents: Vec<_> = keys.lines().map(|key| server.ask(&["HGETALL", key]).unwrap()).collect();
    let seen = format!("{keys}\n{contents:?}\n{}", server.ask(&["SLOWLOG", "GET", "1000"]).unwrap());
    assert!(seen.contains("EVALSHA"), "the slow log was read");
    for secret in ["secret", "ldap", "203.0.113", "77.113.0.203"] {
        assert!(!seen.to_lowercase().contains(secret), "{secret} in {seen}");
    }
    // Six, and the one that the connection was tried with.
    assert_eq!(keys.lines().count(), 7, "{keys}");
    assert!(keys.lines().all(|key| key.starts_with("{service-a}:") && key.len() < 64), "{keys}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_full_again_vanishes() {
    let server = Redis::start().unwrap();
    let limits = patient(RedisLimits::builder(server.url())).connect().await.unwrap();
    let life = |kind: &str| -> u128 {
        let key = server.ask(&["KEYS", &format!("*:{kind}:*")]).unwrap();
        server.ask(&["PTTL", &key]).unwrap().parse().unwrap()
    };
    for (whose, quotas, window) in [
        (Whose::Policy, &[quota("5/second")][..], Duration::from_secs(1)),
        (Whose::Owner("a"), &[quota("5/second"), quota("1/hour")][..], Duration::from_secs(3_600)),
        (Whose::Key("a".parse().unwrap()), &[quota("1/366d")][..], Duration::from_secs(366 * 86_400)),
    ] {
        take(&limits, whose, quotas, 1).await.unwrap();
        let (life, window) = (life(whose.name()), window.as_millis());
        // A second more than the window, of which some may be gone.
        assert!(life > window && life <= window + 1_000, "{life} for {window}");
    }
    // A window that is not in use any more is remembered for as long as it would be.
    take(&limits, Whose::Owner("a"), &[quota("5/second")], 1).await.unwrap();
    assert!(life("owner") > 3_600_000);
    common::until("gone", async || server.ask(&["KEYS", "*:policy:*"]).unwrap().is_empty()).await;
}

/// A real node of a cluster refuses a script whose keys are in several slots.
#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_request_is_in_one_slot() {
    let server = Redis::start_with(&[("cluster-enabled", "yes")]).unwrap();
    server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).unwrap();
    common::until("a cluster", async || server.ask(&["CLUSTER", "INFO"]).unwrap().contains("cluster_state:ok")).await;
    let limits = patient(RedisLimits::builder(server.url())).connect().await.unwrap();
    let quotas = [quota("10/minute")];
    let owners: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let buckets: Vec<_> = owners.iter().map(|owner| Bucket { whose: Whose::Owner(owner), quotas: &quotas }).collect();
    assert_eq!(take_all(&limits, &buckets, 1, false).await.unwrap().standings.len(), 20);

    // A namespace that another node has.
    let slot = server.ask(&["CLUSTER", "KEYSLOT", "{elsewhere}"]).unwrap();
    server.ask(&["CLUSTER", "DELSLOTS", &slot]).unwrap();
    server.ask(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]).unwrap();
    common::until("refused", async || {
        let refused = RedisLimits::builder(server.url()).namespace("elsewhere").connect().await;
        refused.is_err_and(|error| error.to_string().contains("one node of a cluster"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_share_nothing_and_processes_share_all() {
    let server = Redis::start().unwrap();
    let connect =
        async |namespace: &str| patient(RedisLimits::builder(server.url())).namespace(namespace).connect().await.unwrap();
    let (one, same, other) = (connect("one").await, connect("one").await, connect("other").await);
    assert!(common::gives(&one, "a", "1/hour").await);
    assert!(!common::gives(&same, "a", "1/hour").await && !common::gives(&one.clone(), "a", "1/hour").await);
    assert!(common::gives(&other, "a", "1/hour").await);
    let refused = RedisLimits::builder(server.url()).namespace("{a}").connect().await.unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::Namespace);
}
