//! Who may come in, and what is said to whoever may not.

mod common;

use std::time::Duration;

use common::{gives, patient, until};
use keyward_behaviour::services::redis::Redis;
use keyward_redis::{AwayMode, OpenError, OpenErrorKind, RedisLimits};

/// All that the documentation says a user needs.
const USER: &str =
    "limits on >marked-password ~{keyward}:* +evalsha +eval +script|load +time +hmget +hgetall +hset +hdel +pexpire";

fn expect(refused: &OpenError, kind: OpenErrorKind, says: &str) {
    assert_eq!(refused.kind(), kind, "{refused}");
    for text in [refused.to_string(), format!("{refused:?}")] {
        assert!(text.contains(says), "{text}");
        assert!(!text.contains("marked"), "a password in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_just_what_is_needed() {
    let server = Redis::start_with(&[("user", USER), ("user", "default off")]).unwrap();
    let limits = patient(RedisLimits::builder(server.url_as("limits", "marked-password"))).connect().await.unwrap();
    assert!(gives(&limits, "a", "1/hour").await && !gives(&limits, "a", "1/hour").await);
    // Another quota, which needs what a take does not.
    assert!(!gives(&limits, "a", "1/day").await);

    let connect = async |url: String| RedisLimits::connect(url).await.unwrap_err();
    expect(&connect(server.url_as("limits", "marked-wrong")).await, OpenErrorKind::Refused, "check the user and the password");
    expect(&connect(server.url_as("nobody", "marked-password")).await, OpenErrorKind::Refused, "check the user and the password");
    expect(&connect(server.url()).await, OpenErrorKind::Refused, "check the user and the password");
    let elsewhere = RedisLimits::builder(server.url_as("limits", "marked-password")).namespace("other");
    expect(&elsewhere.connect().await.unwrap_err(), OpenErrorKind::Refused, "the user needs ~");
    // A server that is away may come; a password that is wrong stays wrong.
    let wrong = RedisLimits::builder(server.url_as("limits", "marked-wrong")).may_start_away();
    expect(&wrong.connect().await.unwrap_err(), OpenErrorKind::Refused, "check the user");
}

/// Each of them is needed, if not by the first request: it is told at the start, and with the line that mends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_lacks_one_right() {
    let server = Redis::start().unwrap();
    for right in USER.split(' ').filter_map(|word| word.strip_prefix('+')) {
        let user = format!("ACL SETUSER {} -{right}", USER.replacen("limits on", "lacking reset on", 1));
        server.ask(&user.split(' ').collect::<Vec<_>>()).unwrap();
        let url = server.url_as("lacking", "marked-password");
        let refused = RedisLimits::builder(url).may_start_away().connect().await;
        expect(&refused.expect_err(right), OpenErrorKind::Refused, "the user needs ~{keyward}:* +evalsha +eval ");
    }
}

/// A right that is taken away later.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_loses_a_right() {
    let server = Redis::start_with(&[("user", USER)]).unwrap();
    let builder = RedisLimits::builder(server.url_as("limits", "marked-password")).mode(AwayMode::Deny);
    let builder = builder.retry_after(Duration::from_millis(20), Duration::from_millis(100)).failures(1_000);
    let limits = patient(builder).connect().await.unwrap();
    server.ask(&["ACL", "SETUSER", "limits", "-hset"]).unwrap();
    let fault = common::take(&limits, keyward::limit::Whose::Policy, &[common::quota("1/hour")], 1).await.unwrap_err();
    assert!(limits.statistics().away && fault.to_string().contains("the user needs"), "{fault}");
    server.ask(&["ACL", "SETUSER", "limits", "+hset"]).unwrap();
    until("back", async || !limits.statistics().away).await;
}

/// No start and no end of waiting would help.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lacks_a_command_or_a_database() {
    for command in ["SCRIPT", "EVALSHA", "EVAL", "TIME", "HMGET", "HGETALL", "HSET", "HDEL", "PEXPIRE"] {
        let server = Redis::start_with(&[("rename-command", &format!("{command} \"\""))]).unwrap();
        let refused = RedisLimits::builder(server.url()).may_start_away().connect().await;
        expect(&refused.expect_err(command), OpenErrorKind::Refused, "it lacks a command");
    }
    let server = Redis::start().unwrap();
    let refused = RedisLimits::builder(format!("{}/99", server.url())).may_start_away().connect().await;
    expect(&refused.unwrap_err(), OpenErrorKind::Refused, "none of its `databases`");
    let limits = patient(RedisLimits::builder(format!("{}/3", server.url()))).connect().await.unwrap();
    assert!(gives(&limits, "a", "1/hour").await);
    server.ask(&["ACL", "SETUSER", "limits", "on", ">marked", "~*", "+@all", "-select"]).unwrap();
    let refused = RedisLimits::connect(format!("{}/3", server.url_as("limits", "marked"))).await;
    expect(&refused.unwrap_err(), OpenErrorKind::Refused, "+select");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_without_a_user() {
    let server = Redis::start_with(&[("requirepass", "marked/pass%word")]).unwrap();
    let limits = patient(RedisLimits::builder(server.url_as("", "marked%2Fpass%25word"))).connect().await.unwrap();
    assert!(gives(&limits, "a", "1/hour").await);
}

/// Passwords are in no `Debug`, no switch and no fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_never_told() {
    let server = Redis::start_with(&[("requirepass", "marked-password")]).unwrap();
    let told = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let heard = told.clone();
    let builder = RedisLimits::builder(server.url_as("", "marked-password"))
        .mode(AwayMode::Deny)
        .retry_after(Duration::from_millis(10), Duration::from_millis(20))
        .on_switch(move |switch| *heard.lock().unwrap() += &format!("{switch:?}"));
    let mut seen = format!("{builder:?}");
    let limits = builder.connect().await.unwrap();
    seen += &format!("{limits:?}");
    server.kill().unwrap();
    until("away", async || limits.statistics().away).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let fault = common::take(&limits, keyward::limit::Whose::Policy, &[common::quota("1/hour")], 1).await.unwrap_err();
    seen += &format!("{fault} {fault:?}");
    until("told", async || !told.lock().unwrap().is_empty()).await;
    seen += &told.lock().unwrap();
    assert!(!seen.contains("marked"), "{seen}");
    assert!(fault.to_string().contains("bring Redis back"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_read() {
    for url in ["", "127.0.0.1:6379", "http://127.0.0.1", "redis://:marked/word@127.0.0.1", "redis://:marked#word@127.0.0.1"] {
        let refused = RedisLimits::connect(url).await.unwrap_err();
        expect(&refused, OpenErrorKind::Address, "address of Redis");
    }
    let refused = RedisLimits::connect("redis://:marked@127.0.0.1:1").await.unwrap_err();
    expect(&refused, OpenErrorKind::Away, "whether it runs");
}

#[test]
fn without_a_runtime_it_is_said_so() {
    let refused = pollster::block_on(RedisLimits::connect("redis://127.0.0.1")).unwrap_err();
    expect(&refused, OpenErrorKind::Runtime, "open them there");
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread")]
async fn tls_with_an_authority_of_ones_own() {
    let server = Redis::start_with_tls().unwrap();
    let builder = || patient(RedisLimits::builder(server.url()));
    let limits = builder().certificate_authorities(server.authority().unwrap()).connect().await.unwrap();
    assert!(gives(&limits, "a", "1/hour").await && !gives(&limits, "a", "1/hour").await);

    // Vouched for by nobody who is trusted, or for another name; and not encrypted.
    let refused = builder().certificate_authorities(Redis::start_with_tls().unwrap().authority().unwrap()).connect().await;
    expect(&refused.unwrap_err(), OpenErrorKind::Away, "ertificate");
    let other_name = server.url().replace("127.0.0.1", "localhost");
    let refused = RedisLimits::builder(other_name).certificate_authorities(server.authority().unwrap()).connect().await;
    expect(&refused.unwrap_err(), OpenErrorKind::Away, "ertificate");
    let plain = RedisLimits::connect(server.url().replace("rediss", "redis")).await.unwrap_err();
    expect(&plain, OpenErrorKind::Away, "rediss://");
    // It waits for a command that ends.
    let without = Redis::start().unwrap();
    let plain = RedisLimits::builder(without.url().replace("redis", "rediss"));
    let refused = plain.certificate_authorities(server.authority().unwrap()).connect().await;
    expect(&refused.unwrap_err(), OpenErrorKind::Away, "rediss:// is with it, redis:// without");
    let refused = RedisLimits::builder("redis://127.0.0.1").certificate_authorities(server.authority().unwrap()).connect().await;
    expect(&refused.unwrap_err(), OpenErrorKind::Address, "rediss://");
    let refused = builder().certificate_authorities("nonsense").connect().await.unwrap_err();
    expect(&refused, OpenErrorKind::Address, "certificate");
}
