//! What every answer carries, and what handlers still see of a request.

use std::collections::HashMap;
use std::net::IpAddr;

use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use keyward::{Guard, Pass, RequestId};
use keyward_warp::{client_address, maybe_authenticated, request_id};
use warp::path::FullPath;
use warp::{Filter, Rejection, Reply};

use crate::support::{Service, body, guard, start, start_with, status};

const POLICY: &str = r#"
sources = [{ bearer = true }, { header = "X-API-Key" }, { cookie = "key" }, { query = "api_key" }]
[access]
open_paths = ["/open"]
[limits]
per_key = ["1000/hour"]
[response]
security_headers = true
"#;

fn routes(guard: Guard) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
    let plain = warp::path!("plain").and(warp::get()).map(|| "plain");
    let open = warp::path!("open").map(|| "open");
    let own_cache = warp::path!("cached").map(|| warp::reply::with_header("cached", "cache-control", "public, max-age=60"));
    let parts = ["one ", "two ", "three"].map(|part| Ok::<_, std::convert::Infallible>(Bytes::from(part)));
    let streamed = warp::path!("streamed").map(move || warp::reply::stream(stream::iter(parts.clone())));
    let scoped = keyward_warp::allowed_by(guard.requiring(keyward::scopes!["reports:read"]));
    let scoped = warp::path!("scoped").and(scoped).map(|| "scoped");
    let fails = warp::path!("fails").and(warp::query::<Vec<(String, u32)>>()).map(|_| "parsed");
    plain.or(open).or(own_cache).or(streamed).or(scoped).or(fails).or(seen())
}

/// Everything by which warp lets a handler look at a request's head.
fn seen() -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
    let names = warp::header::headers_cloned().and(warp::ext::get::<Pass>());
    let addresses = client_address().and(warp::addr::remote());
    let query = warp::query::<HashMap<String, String>>();
    let raw = warp::query::raw().or(warp::any().map(String::new)).unify();
    let cookies = warp::cookie::optional::<String>("key").and(warp::cookie::optional::<String>("other"));
    warp::path!("seen")
        .and(maybe_authenticated())
        .and(request_id())
        .and(addresses)
        .and(names)
        .and(query)
        .and(raw)
        .and(cookies)
        .and(warp::header::optional::<String>("x-api-key"))
        .and(warp::header::optional::<String>("authorization"))
        .and(warp::path::full())
        .map(
            |who: Option<keyward_warp::Authenticated>,
             id: RequestId,
             client: Option<IpAddr>,
             remote,
             headers: HeaderMap,
             pass: Pass,
             query: HashMap<String, String>,
             raw: String,
             key: Option<String>,
             other: Option<String>,
             header: Option<String>,
             authorization: Option<String>,
             path: FullPath| {
                assert_eq!(remote, None::<std::net::SocketAddr>);
                assert_eq!(pass.request_id().as_str(), id.as_str());
                warp::reply::json(&serde_json::json!({
                    "name": who.map(|who| who.name().to_owned()), "id": id.as_str(), "client": client, "headers": format!("{headers:?}"),
                    "query": query, "raw": raw, "key": key, "other": other, "header": header, "authorization": authorization,
                    "path": path.as_str(),
                }))
            },
        )
}

impl Service {
    async fn seen(&self, target: &str, headers: &str) -> (String, serde_json::Value) {
        let answer = self.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}Connection: close\r\n\r\n")).await;
        let told = serde_json::from_str(body(&answer)).unwrap_or_else(|_| panic!("{answer}"));
        (answer, told)
    }
}

#[tokio::test]
async fn every_guarded_answer_carries_its_headers() {
    let service = start(POLICY, routes).await;
    for (method, target, key, expected) in [
        ("GET", "/plain", &service.plain, 200),
        ("HEAD", "/streamed", &service.plain, 200),
        ("GET", "/streamed", &service.plain, 200),
        ("GET", "/cached", &service.plain, 200),
        ("GET", "/scoped", &service.reader, 200),
        ("GET", "/scoped", &service.plain, 403),
        ("GET", "/nowhere", &service.plain, 404),
        ("DELETE", "/plain", &service.plain, 405),
        ("GET", "/fails?a=b", &service.plain, 400),
    ] {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: a\r\nX-Request-ID: mine\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n"
        );
        let answer = service.send(request).await;
        assert_eq!(status(&answer), expected, "{method} {target}: {answer}");
        for header in ["x-request-id: mine\r\n", "ratelimit: ", "ratelimit-policy: ", "x-content-type-options: nosniff\r\n"] {
            assert_eq!(answer.matches(header).count(), 1, "{header} of {method} {target}: {answer}");
        }
        let cache = match (target, expected) {
            ("/cached", _) => "public, max-age=60",
            (_, 403) => "no-store",
            _ => "private",
        };
        assert_eq!(answer.matches(&format!("cache-control: {cache}\r\n")).count(), 1, "{answer}");
    }
    for (target, key, expected) in [("/plain", "", 401), ("/nowhere", "wrong", 401), ("/open", "", 200)] {
        let answer = service.get(target, key).await;
        assert_eq!(status(&answer), expected, "{target}: {answer}");
        assert!(answer.contains("x-request-id: ") && answer.contains("x-content-type-options: nosniff\r\n"), "{answer}");
        assert!(!answer.contains("ratelimit"), "{answer}");
        assert!(expected == 200 || answer.contains("cache-control: no-store\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_streamed_body_arrives_whole() {
    let service = start(POLICY, routes).await;
    let answer = service.get("/streamed", &service.plain).await;
    assert!(answer.contains("transfer-encoding: chunked"), "{answer}");
    assert!(answer.contains("\r\none \r\n") && answer.contains("\r\nthree\r\n0\r\n"), "{answer}");
}

#[tokio::test]
async fn no_copy_of_a_credential_reaches_a_handler() {
    for slow in [false, true] {
        let service = start_with(guard(POLICY, slow).await, routes).await;
        let key = &service.plain;
        for (target, headers, raw) in [
            (format!("/seen?a=1&api_key={key}&b=%20"), String::new(), "a=1&b=%20"),
            (format!("/seen?api_key={key}"), String::new(), ""),
            ("/seen".to_owned(), format!("X-API-Key: {key}\r\n"), ""),
            ("/seen".to_owned(), format!("Authorization: bearer {key}\r\n"), ""),
            ("/seen".to_owned(), format!("Cookie: other=o; key={key}\r\n"), ""),
        ] {
            let (answer, told) = service.seen(&target, &headers).await;
            assert!(!answer.contains(key.as_str()), "{answer}");
            assert_eq!((&told["name"], &told["raw"], &told["path"]), (&"plain".into(), &raw.into(), &"/seen".into()), "{answer}");
            let gone = [&told["key"], &told["header"], &told["authorization"], &told["query"]["api_key"]];
            assert!(gone.iter().all(|value| value.is_null()), "{answer}");
            assert_eq!(told["client"], "127.0.0.1");
            assert_eq!(told["other"].as_str(), headers.starts_with("Cookie").then_some("o"), "{answer}");
            assert!(answer.contains(&format!("x-request-id: {}\r\n", told["id"].as_str().unwrap())), "{answer}");
            let cache = if target.contains("api_key") { "no-store" } else { "private" };
            assert!(answer.contains(&format!("cache-control: {cache}\r\n")), "{answer}");
        }
        assert_eq!(status(&service.get("/seen", "wrong-key").await), 401);
    }
}

/// A logger among the routes sees what handlers see, and the status of denials if they are recovered within it.
#[tokio::test]
async fn a_log_within_sees_no_credential() {
    let (sender, mut logged) = tokio::sync::mpsc::unbounded_channel();
    let routes = |guard: Guard| {
        let log = warp::log::custom(move |info| {
            let line = format!("{} {:?} {}", info.path(), info.request_headers(), info.status().as_u16());
            sender.send(line).unwrap();
        });
        let scoped = keyward_warp::allowed_by(guard.requiring(keyward::scopes!["reports:read"]));
        warp::path!("scoped").and(scoped).map(|| "scoped").recover(keyward_warp::recover).with(log)
    };
    let service = start(POLICY, routes).await;
    assert_eq!(status(&service.get(&format!("/scoped?api_key={}", service.plain), "").await), 403);
    let line = logged.recv().await.unwrap();
    assert!(line.starts_with("/scoped ") && line.ends_with(" 403") && !line.contains(&service.plain), "{line}");
}

/// The policy lets preflights through, and warp's own CORS answers them: browsers send no key with one.
#[tokio::test]
async fn a_preflight_reaches_warps_cors() {
    let routes = |guard: Guard| {
        let cors = warp::cors().allow_origin("https://app.example").allow_method("GET").allow_header("x-api-key");
        let scoped = keyward_warp::allowed_by(guard.requiring(keyward::scopes!["reports:read"]));
        warp::path!("scoped").and(warp::get()).and(scoped).map(|| "scoped").recover(keyward_warp::recover).with(cors)
    };
    let service = start(POLICY, routes).await;
    let from = "Host: a\r\nOrigin: https://app.example\r\nConnection: close\r\n";
    let preflight = format!("OPTIONS /scoped HTTP/1.1\r\n{from}Access-Control-Request-Method: GET\r\n\r\n");
    let allowed = "access-control-allow-origin: https://app.example\r\n";
    let answer = service.send(preflight).await;
    assert!(status(&answer) == 200 && answer.contains(allowed), "{answer}");
    for (key, expected) in [(&service.reader, 200), (&service.plain, 403)] {
        let answer = service.send(format!("GET /scoped HTTP/1.1\r\n{from}X-API-Key: {key}\r\n\r\n")).await;
        assert!(status(&answer) == expected && answer.contains(allowed), "{answer}");
    }
    // The guard's own denials are made before warp is asked.
    let answer = service.send(format!("GET /scoped HTTP/1.1\r\n{from}\r\n")).await;
    assert!(status(&answer) == 401 && !answer.contains("access-control"), "{answer}");
}
