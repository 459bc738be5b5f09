//! Denials among warp's rejections: always the policy's answer, never lost to another, and told to the audit once.

use std::convert::Infallible;

use keyward::{Guard, scopes};
use keyward_warp::{Authenticated, Denied, allowed_by, authenticated, maybe_authenticated};
use warp::reject::Reject;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use crate::support::{body, guard, start, start_with, status, without_date};

const POLICY: &str = r#"
[access]
open_paths = ["/open"]
[[routes]]
path = "/optional"
optional = true
"#;

fn reports(guard: &Guard) -> impl Filter<Extract = (), Error = Rejection> + Clone + use<> {
    allowed_by(guard.requiring(scopes!["reports:read"]))
}

fn say_name(who: Authenticated) -> String {
    who.name().to_owned()
}

#[tokio::test]
async fn a_route_that_demands_more_answers_with_the_policys_denial() {
    for slow in [false, true] {
        let routes = |guard: Guard| warp::path!("reports").and(warp::get()).and(reports(&guard)).map(|| "REPORT");
        let service = start_with(guard(POLICY, slow).await, routes).await;
        let answer = service.get("/reports", &service.reader).await;
        assert_eq!((status(&answer), body(&answer)), (200, "REPORT"));
        assert_eq!(service.reasons(), ["valid"]);
        let answer = service.get("/reports", &service.plain).await;
        assert_eq!(status(&answer), 403);
        assert!(answer.contains(r#"error="insufficient_scope", scope="reports:read""#), "{answer}");
        assert!(answer.contains("content-type: application/problem+json\r\n"), "{answer}");
        assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
        let events = service.events();
        assert_eq!(events.len(), 2, "{events:?}");
        assert_eq!((&events[0]["outcome"], &events[1]["outcome"]), (&"allow".into(), &"deny".into()));
        assert_eq!(events[0]["request_id"], events[1]["request_id"]);
        assert_eq!((&events[1]["method"], &events[1]["path"]), (&"GET".into(), &"/reports".into()));
        assert_eq!(events[1]["client_ip"], "127.0.0.1");
        assert_eq!(status(&service.get("/reports", "").await), 401);
        assert_eq!(service.reasons(), ["missing"]);
        assert_eq!(status(&service.ask("POST", "/reports", &service.plain).await), 405);
        assert_eq!(service.reasons(), ["valid"]);
    }
}

/// The same denial as that of a guard that decides: an inner one is no other answer.
#[tokio::test]
async fn a_denial_within_is_the_denial_of_a_guard_around() {
    let policy = "[[routes]]\npath = '/ruled'\nscopes = ['reports:read']\n[response]\nsecurity_headers = true";
    let service = start(policy, |guard| warp::path!("reports").and(reports(&guard)).map(|| "REPORT")).await;
    let ask = |target: &'static str| {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nX-Request-ID: same\r\nX-API-Key: {}\r\nConnection: close\r\n\r\n",
            service.plain
        );
        service.send(request)
    };
    assert_eq!(without_date(&ask("/reports").await), without_date(&ask("/ruled").await));
}

#[tokio::test]
async fn handlers_that_demand_somebody_get_the_policys_401_where_nobody_came() {
    let routes = |_: Guard| {
        let who = |name: &'static str| warp::path(name).and(warp::path::end()).and(authenticated()).map(say_name);
        let either = warp::path!("optional" / "either").and(maybe_authenticated());
        let either = either.map(|who: Option<Authenticated>| who.map_or("nobody".to_owned(), say_name));
        who("open").or(who("optional")).or(either)
    };
    let policy = format!("{POLICY}[[routes]]\npath = '/optional/either'\noptional = true\n");
    let service = start(&policy, routes).await;
    for target in ["/open", "/optional"] {
        let answer = service.get(target, "").await;
        assert_eq!(status(&answer), 401, "{target}");
        assert!(answer.contains("www-authenticate: Bearer realm=\"api\"\r\n") && answer.contains("x-request-id: "), "{answer}");
        assert!(answer.contains("content-type: application/problem+json"), "{answer}");
    }
    // R1.5: an open path makes no event. The optional route made the one of its decision.
    assert_eq!(service.reasons(), ["anonymous"]);
    assert_eq!(body(&service.get("/optional", &service.plain).await), "plain");
    assert_eq!(body(&service.get("/optional/either", "").await), "nobody");
    assert_eq!(body(&service.get("/optional/either", &service.plain).await), "plain");
    assert_eq!(status(&service.get("/optional/either", "wrong").await), 401);
}

#[tokio::test]
async fn no_other_rejection_hides_a_denial() {
    let routes = |guard: Guard| {
        let at = |name: &'static str| warp::path(name).and(warp::path::end());
        let refused = |name: &'static str| at(name).and(reports(&guard)).map(|| "REPORT");
        let wrong_method = |name: &'static str| at(name).and(warp::post()).map(|| "posted");
        let bad_query = |name: &'static str| at(name).and(warp::query::<Vec<(String, u32)>>()).map(|_| "queried");
        let no_header = |name: &'static str| at(name).and(warp::header::<u32>("x-number")).map(|_| "numbered");
        let too_large = |name: &'static str| at(name).and(warp::body::content_length_limit(1)).map(|| "small");
        let faulty = |name: &'static str| at(name).and_then(|| async { Err::<&str, _>(warp::reject::custom(Own)) });
        refused("405")
            .or(wrong_method("405"))
            .or(wrong_method("before"))
            .or(refused("before"))
            .or(refused("400"))
            .or(bad_query("400"))
            .or(refused("header"))
            .or(no_header("header"))
            .or(refused("411"))
            .or(too_large("411"))
            .or(refused("own"))
            .or(faulty("own"))
            .or(faulty("own-before"))
            .or(refused("own-before"))
            .or(refused("twice"))
            .or(refused("twice"))
    };
    let service = start(POLICY, routes).await;
    for target in ["/405", "/before", "/400?a=b", "/header", "/411", "/own", "/own-before", "/twice"] {
        service.events();
        let answer = service.get(target, &service.plain).await;
        assert_eq!(status(&answer), 403, "{target}: {answer}");
        assert!(answer.contains("insufficient_scope") && !answer.contains("nhandled"), "{target}: {answer}");
        let refusals = if target == "/twice" { 2 } else { 1 };
        let expected: Vec<_> = std::iter::once("valid").chain(std::iter::repeat_n("scope", refusals)).collect();
        assert_eq!(service.reasons(), expected, "{target}");
    }
    for (target, expected) in [("/405", 200), ("/before", 200), ("/own", 200), ("/own-before", 200)] {
        assert_eq!(status(&service.get(target, &service.reader).await), expected, "{target}");
    }
    assert_eq!(status(&service.ask("POST", "/405", &service.plain).await), 200);
    assert_eq!(status(&service.get("/none", &service.plain).await), 404);
}

#[derive(Debug)]
struct Own;

impl Reject for Own {}

/// R1.4. A preflight goes past the guard as nobody, and as far as a route that demands something; no answer but its own is lost.
#[tokio::test]
async fn a_route_that_demands_something_answers_no_preflight() {
    let routes = |guard: Guard| {
        let ruled = warp::path!("ruled").and(reports(&guard)).map(|| "DATA");
        let somebody = warp::path!("somebody").and(authenticated()).map(|_| "DATA");
        let by_method = warp::path!("by-method").and(warp::get()).map(|| "DATA");
        let any = warp::path!("any").map(|| "DATA");
        ruled.or(somebody).or(by_method).or(any)
    };
    for (policy, any) in [("", 200), ("[access]\npreflight = 'guard'", 401)] {
        let service = start(policy, routes).await;
        let by_method = if any == 200 { 405 } else { 401 };
        for (path, expected) in [("/ruled", 401), ("/somebody", 401), ("/by-method", by_method), ("/any", any)] {
            let answer = service
                .send(format!(
                    "OPTIONS {path} HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n\
                     Connection: close\r\n\r\n"
                ))
                .await;
            assert_eq!(status(&answer), expected, "{policy} {path}: {answer}");
            assert_eq!(answer.contains("DATA"), expected == 200, "{policy} {path}: {answer}");
        }
    }
}

/// As warp means it: what one route refuses, another may answer, if it demands less.
#[tokio::test]
async fn a_route_that_demands_less_may_answer_instead() {
    let routes = |guard: Guard| {
        let whole = warp::path!("reports").and(reports(&guard)).map(|| "whole");
        let personal = warp::path!("optional").and(authenticated()).map(|_| "personal");
        whole.or(warp::path!("reports").map(|| "summary")).or(personal).or(warp::path!("optional").map(|| "front"))
    };
    let service = start(POLICY, routes).await;
    assert_eq!(body(&service.get("/reports", &service.reader).await), "whole");
    assert_eq!(body(&service.get("/optional", &service.plain).await), "personal");
    assert_eq!(service.reasons(), ["valid", "valid"]);
    assert_eq!(body(&service.get("/reports", &service.plain).await), "summary");
    assert_eq!(service.reasons(), ["valid", "scope"]);
    assert_eq!(body(&service.get("/optional", "").await), "front");
    assert_eq!(service.reasons(), ["anonymous"]);
    // Another route is another route: none is reached without what the policy demands.
    assert_eq!(status(&service.get("/reports", "").await), 401);
}

#[tokio::test]
async fn a_recover_of_ones_own_sees_denials_and_may_answer() {
    async fn handle(rejection: Rejection) -> Result<Response, Rejection> {
        match rejection.find::<Denied>() {
            Some(denied) if denied.denial().is_some_and(|denial| denial.kind() == keyward::Kind::Scope) => {
                let mut answer = denied.clone().into_response();
                answer.headers_mut().insert("x-own", http::HeaderValue::from_static("yes"));
                Ok(answer)
            }
            _ if rejection.is_not_found() => Ok(warp::reply::with_status("none", http::StatusCode::NOT_FOUND).into_response()),
            _ => Err(rejection),
        }
    }
    let routes = |guard: Guard| {
        let reports = warp::path!("reports").and(reports(&guard)).map(|| "REPORT");
        reports.or(warp::path!("open").and(authenticated()).map(say_name)).recover(handle)
    };
    let service = start(POLICY, routes).await;
    let answer = service.get("/reports", &service.plain).await;
    assert_eq!(status(&answer), 403);
    assert!(answer.contains("x-own: yes\r\n") && answer.contains("insufficient_scope"), "{answer}");
    assert_eq!(service.reasons(), ["valid", "scope"]);
    let answer = service.get("/open", "").await;
    assert_eq!(status(&answer), 401, "{answer}");
    let answer = service.get("/none", &service.plain).await;
    assert_eq!((status(&answer), body(&answer)), (404, "none"));
}

#[tokio::test]
async fn a_recover_that_answers_everything_lets_nobody_in() {
    async fn handle(_: Rejection) -> Result<&'static str, Infallible> {
        Ok("recovered")
    }
    let routes = |guard: Guard| {
        let routes = warp::path!("reports").and(reports(&guard)).map(|| "REPORT").recover(handle);
        warp::any().and_then(|| async { Ok::<_, Rejection>(()) }).untuple_one().and(routes)
    };
    let service = start(POLICY, routes).await;
    assert_eq!(body(&service.get("/reports", &service.plain).await), "recovered");
    assert_eq!(service.reasons(), ["valid", "scope"]);
    assert_eq!(status(&service.get("/reports", "").await), 401);
    assert_eq!(status(&service.get("/none", "").await), 401);
}

/// A handler's rejection stays what warp makes of it, and tells nothing of ours.
#[tokio::test]
async fn rejections_of_ones_own_stay_their_own() {
    let routes = |_: Guard| {
        let own = warp::path!("own").and_then(|| async { Err::<&str, _>(warp::reject::custom(Own)) });
        own.or(warp::path!("known").and(warp::post()).map(|| ""))
    };
    let service = start(POLICY, routes).await;
    let answer = service.get("/own", &service.plain).await;
    assert_eq!((status(&answer), body(&answer)), (500, "Unhandled rejection: Own"));
    assert_eq!(status(&service.get("/known", &service.plain).await), 405);
}
