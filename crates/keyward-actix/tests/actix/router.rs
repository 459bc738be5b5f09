//! The guard around actix-web's real router, over real sockets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Store, get, guarded, send, serve, status};
use actix_web::body::MessageBody;
use actix_web::dev::{Service as _, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Logger, Next, from_fn};
use actix_web::{App, Error, HttpRequest, HttpResponse, Responder, web};
use futures_util::stream;
use keyward::audit::{AuditEvent, AuditSink};
use keyward::{
    Ambient, Answer, Authenticator, ConnectionIdentity, Guard, Identity, Keys, MemoryStore, NewKey, Pass, Peer, Policy, Verdict,
    scopes,
};
use keyward_actix::Authenticated;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const POLICY: &str = r#"
sources = [{ bearer = true }, { header = "X-API-Key" }, { cookie = "key" }, { query = "api_key" }]
[access]
open_paths = ["/healthz", "/docs/*"]
[[routes]]
path = "/api/reports/*"
methods = ["GET"]
scopes = ["reports:read"]
[[routes]]
path = "/optional"
optional = true
"#;

const IN_MEMORY: Store = Store::InMemory;
const SLOW: Store = Store::Slow(Duration::from_millis(1));

/// Every copy of the target and of the headers that a handler can get at.
async fn seen(who: Option<Authenticated>, request: HttpRequest, query: web::Query<Vec<(String, String)>>) -> impl Responder {
    let headers: Vec<String> = request.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    web::Json(serde_json::json!({
        "name": who.map(|who| who.name().to_owned()),
        "uri": request.uri().to_string(),
        "routed": request.match_info().get_ref().uri().to_string(),
        "rest": request.match_info().get("rest"),
        "query": request.query_string(),
        "parameters": query.into_inner(),
        "cookies": request.cookies().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "headers": headers,
    }))
}

fn app(
    guard: Guard,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<impl MessageBody>, Error = Error, InitError = ()>,
> {
    let api = web::scope("/api")
        .route("/reports/{id}", web::to(async || "REPORT"))
        .route("/reports", web::to(async || "LIST"))
        .route("/seen/{rest:.*}", web::to(seen));
    App::new()
        .service(api)
        .route("/healthz", web::get().to(async || "ok"))
        .route("/docs/{rest:.*}", web::get().to(async || "docs"))
        .route("/optional", web::get().to(seen))
        .service(web::resource("/only-get").route(web::get().to(async || "got")))
        .route("/who", web::to(async |who: Authenticated| who.name().to_owned()))
        .wrap(keyward_actix::guard(guard))
        // Added after the guard, and behind it all the same.
        .route("/late", web::to(async || "late"))
}

/// That no spelling at all gets past its rule is the behaviour suite's to show.
#[tokio::test]
async fn what_the_rules_and_the_router_make_of_a_spelling() {
    let guarded = guarded(POLICY, IN_MEMORY).await;
    let guard = guarded.guard.clone();
    let address = serve(move || app(guard.clone()));
    for (target, expected) in [
        ("/api/reports/1", 200),
        // actix-web's router decodes it, and so does the rule.
        ("/api/%72eports/1", 200),
        ("/api/reports/%31", 200),
        ("/api/reports/1/", 404),
        ("/api//reports/1", 400),
        ("/api/reports/..", 400),
    ] {
        let answer = get(address, target, &guarded.reader).await;
        assert_eq!(status(&answer), expected, "{target}: {answer}");
    }
    let post = format!("POST /api/reports/1 HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n", guarded.reader);
    assert_eq!(status(&send(address, format!("{post}Content-Length: 0\r\nConnection: close\r\n\r\n")).await), 403);
}

#[tokio::test]
async fn open_paths_are_open_in_their_plain_spelling_only() {
    let guard = guarded(POLICY, IN_MEMORY).await.guard;
    let address = serve(move || app(guard.clone()));
    for (target, expected) in [
        ("/healthz", 200),
        ("/healthz?x=1", 200),
        ("/docs/a/b", 200),
        ("/%68ealthz", 401),
        ("/docs", 401),
        ("/docs/", 401),
        ("/healthz/x", 401),
        ("/docs//a", 400),
    ] {
        assert_eq!(status(&get(address, target, "").await), expected, "{target}");
    }
}

#[tokio::test]
async fn the_whole_application_is_behind_the_guard() {
    let guarded = guarded(POLICY, IN_MEMORY).await;
    let guard = guarded.guard.clone();
    let address = serve(move || app(guard.clone()).default_service(web::to(async || "DEFAULT")));
    // A route that is added after the guard, a path that has none, and a method that a route does not have.
    for (target, expected) in [("/late", 200), ("/nowhere", 200), ("/api/nowhere", 200)] {
        let answer = get(address, target, "").await;
        assert_eq!(status(&answer), 401, "{target}: {answer}");
        let answer = get(address, target, &guarded.plain).await;
        assert_eq!(status(&answer), expected, "{target}: {answer}");
        assert!(answer.contains("x-request-id: ") && answer.contains("cache-control: private"), "{answer}");
    }
    let wrong_method = |key: &str| format!("PUT /only-get HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n");
    assert_eq!(status(&send(address, wrong_method("wrong")).await), 401);
    let answer = send(address, wrong_method(&guarded.plain)).await;
    assert!(status(&answer) == 405 && answer.contains("x-request-id: "), "{answer}");
}

#[tokio::test]
async fn no_copy_of_a_credential_reaches_a_handler_or_a_logger() {
    for store in [IN_MEMORY, SLOW] {
        let guarded = guarded(POLICY, store).await;
        let (guard, logged) = (guarded.guard.clone(), Arc::new(Mutex::new(Vec::new())));
        let log = logged.clone();
        let address = serve(move || {
            let log = log.clone();
            let logger = Logger::new("%{target}xi").custom_request_replace("target", move |request| {
                log.lock().unwrap().push(format!("{} {:?}", request.uri(), request.headers()));
                String::new()
            });
            App::new()
                .service(web::scope("/a").service(web::scope("/b").route("/{rest:.*}", web::to(seen))))
                .wrap(logger)
                .wrap(keyward_actix::guard(guard.clone()))
        });
        let key = &guarded.plain;
        let answer = get(address, &format!("/a/b/c%20d/%65?x=1&api_key={key}&y=%20&&z"), "").await;
        for expected in [
            r#""name":"plain""#,
            r#""uri":"/a/b/c%20d/%65?x=1&y=%20&&z""#,
            r#""routed":"/a/b/c%20d/%65?x=1&y=%20&&z""#,
            r#""rest":"c d/e""#,
            r#""query":"x=1&y=%20&&z""#,
            r#""parameters":[["x","1"],["y"," "],["z",""]]"#,
            "cache-control: no-store",
        ] {
            assert!(answer.contains(expected), "{expected}: {answer}");
        }
        let answer = get(address, &format!("/a/b/c?api_key={key}"), "").await;
        assert!(answer.contains(r#""uri":"/a/b/c""#) && answer.contains(r#""query":"""#), "{answer}");
        let answer = get(address, &format!("http://localhost/a/b/c?api_key={key}&x"), "").await;
        assert!(answer.contains(r#""uri":"http://localhost/a/b/c?x""#), "{answer}");
        let answer = get(address, "/a/b/c", key).await;
        assert!(answer.contains(r#""name":"plain""#) && answer.contains("cache-control: private"), "{answer}");
        let head = "GET /a/b/c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
        let cookies = format!("{head}Cookie: a=1; key={key}; b=2\r\nX-Other: 1\r\nX-Other: 2\r\nCookie: c=3\r\n\r\n");
        let answer = send(address, cookies).await;
        assert!(answer.contains(r#""cookies":["a=1","b=2","c=3"]"#) && answer.contains(r#""name":"plain""#), "{answer}");
        assert!(answer.find(r#"x-other: \"1\""#) < answer.find(r#"x-other: \"2\""#), "{answer}");
        // A line of another scheme is the handler's.
        let answer = send(address, format!("{head}Authorization: Basic YTpi\r\nX-API-Key: {key}\r\n\r\n")).await;
        assert!(answer.contains("Basic YTpi") && !answer.contains(key.as_str()), "{answer}");
        let logged = std::mem::take(&mut *logged.lock().unwrap());
        assert!(logged.len() == 6 && !logged.iter().any(|line| line.contains(key)), "{logged:?}");
        assert_eq!(status(&get(address, "/a/b/c", "wrong-key").await), 401);
    }
}

#[tokio::test]
async fn no_copy_of_a_refused_credential_is_in_what_the_answer_takes_along() {
    for store in [IN_MEMORY, SLOW] {
        let guarded = guarded(POLICY, store).await;
        let (guard, seen_outside) = (guarded.guard.clone(), Arc::new(Mutex::new(Vec::new())));
        let seen_by = seen_outside.clone();
        let address = serve(move || {
            let seen_by = seen_by.clone();
            App::new().wrap(keyward_actix::guard(guard.clone())).wrap_fn(move |request, next| {
                let (seen_by, answer) = (seen_by.clone(), next.call(request));
                async move {
                    let answer = answer.await?;
                    let request = answer.request();
                    let routed = request.match_info().get_ref().uri().to_string();
                    seen_by.lock().unwrap().push(format!("{} {routed} {:?}", request.uri(), request.headers()));
                    Ok(answer)
                }
            })
        });
        assert_eq!(status(&get(address, "/?api_key=refused", "").await), 401);
        assert_eq!(status(&get(address, "/", "refused").await), 401);
        let seen = std::mem::take(&mut *seen_outside.lock().unwrap());
        assert!(seen.len() == 2 && !seen.iter().any(|line| line.contains("refused")), "{seen:?}");
    }
}

#[tokio::test]
async fn two_lines_of_a_credential_are_refused_in_any_order() {
    let guarded = guarded(POLICY, IN_MEMORY).await;
    let guard = guarded.guard.clone();
    let address = serve(move || app(guard.clone()));
    let key = guarded.plain;
    for lines in [
        format!("X-API-Key: {key}\r\nX-API-Key: other\r\n"),
        format!("X-API-Key: other\r\nX-API-Key: {key}\r\n"),
        format!("X-API-Key: {key}\r\nx-api-key: {key}\r\n"),
        format!("Authorization: Bearer {key}\r\nAuthorization: Basic YTpi\r\n"),
        format!("Cookie: key={key}\r\nCookie: key={key}\r\n"),
    ] {
        let answer = send(address, format!("GET /who HTTP/1.1\r\nHost: a\r\n{lines}Connection: close\r\n\r\n")).await;
        assert_eq!(status(&answer), 400, "{lines}{answer}");
    }
}

#[tokio::test]
async fn handlers_that_demand_somebody_get_the_policys_401_where_nobody_came() {
    let guarded = guarded(POLICY, IN_MEMORY).await;
    let guard = guarded.guard.clone();
    let address = serve(move || app(guard.clone()));
    let preflight = "OPTIONS /who HTTP/1.1\r\nHost: a\r\nOrigin: https://x.example\r\nAccess-Control-Request-Method: GET\r\nConnection: close\r\n\r\n";
    let answer = send(address, preflight).await;
    assert_eq!(status(&answer), 401);
    assert!(answer.contains("www-authenticate: Bearer realm=\"api\"\r\n") && answer.contains("x-request-id: "), "{answer}");
    assert!(get(address, "/optional", "").await.contains(r#""name":null"#));
    assert!(get(address, "/optional", &guarded.plain).await.contains(r#""name":"plain""#));
    assert_eq!(status(&get(address, "/optional", "wrong-key").await), 401);
}

#[tokio::test]
async fn a_route_outside_every_guard_fails_closed() {
    let address = serve(|| {
        App::new()
            .route("/demands", web::to(async |_: Authenticated| "in"))
            .route("/optional", web::to(async |who: Option<Authenticated>| format!("somebody: {}", who.is_some())))
            .route("/pass", web::to(async |_: web::ReqData<Pass>| "in"))
    });
    for key in ["", "anything"] {
        assert_eq!(status(&get(address, "/demands", key).await), 500);
        assert_eq!(status(&get(address, "/pass", key).await), 500);
        // actix-web makes `None` of every error.
        assert!(get(address, "/optional", key).await.contains("somebody: false"));
    }
}

/// Keeps the reasons of events, at once or after a while.
#[derive(Clone, Default)]
struct Reasons {
    told: Arc<Mutex<Vec<String>>>,
    waits: bool,
}

impl AuditSink for Reasons {
    fn may_wait(&self) -> bool {
        self.waits
    }

    fn record(&self, event: &AuditEvent) -> Answer<()> {
        let (told, reason) = (self.told.clone(), event.reason.to_owned());
        let tell = move || told.lock().unwrap().push(reason);
        if !self.waits {
            tell();
            return Answer::ready(());
        }
        Answer::Pending(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            tell();
            Ok(())
        }))
    }
}

#[tokio::test]
async fn resources_scopes_and_routes_can_ask_for_more_and_nothing_is_decided_twice() {
    for waits in [false, true] {
        nothing_is_decided_twice(Reasons { waits, ..Reasons::default() }).await;
    }
}

async fn nothing_is_decided_twice(events: Reasons) {
    let store = MemoryStore::new();
    let keys = Keys::new(store.clone());
    let plain = keys.create(NewKey::named("plain")).await.unwrap();
    let reader = keys.create(NewKey::named("reader").scope("reports:read").unwrap()).await.unwrap();
    let policy = Policy::from_toml("policy.toml", "[limits]\nper_key = ['6/hour']").unwrap();
    let guard = Guard::builder(policy).store(store).audit(events.clone()).build().unwrap();
    let address = serve(move || {
        let more = || keyward_actix::guard(guard.requiring(scopes!["reports:read"]));
        App::new()
            .service(web::resource("/resource").to(async |who: Authenticated| who.name().to_owned()).wrap(more()))
            .service(web::scope("/scope").route("/x", web::to(async || "scope")).wrap(more()))
            .route("/route", web::get().to(async || "route").wrap(more()))
            .route("/less", web::to(async || "less"))
            .wrap(keyward_actix::guard(guard.clone()))
    });
    let (plain, reader) = (plain.secret().expose(), reader.secret().expose());
    for (number, target) in ["/resource", "/scope/x", "/route"].into_iter().enumerate() {
        let answer = get(address, target, reader).await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(answer.contains(&format!("ratelimit: \"key-3600s\";r={}", 5 - number)), "{answer}");
        let answer = get(address, target, plain).await;
        assert_eq!(status(&answer), 403, "{answer}");
        assert!(answer.contains("error=\"insufficient_scope\", scope=\"reports:read\""), "{answer}");
    }
    assert_eq!(status(&get(address, "/less", plain).await), 200);
    // One event for each decision, and another where the inner guard denied.
    let expected = ["valid", "valid", "scope"].repeat(3).into_iter().chain(["valid"]).collect::<Vec<_>>();
    assert_eq!(*events.told.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_scope_can_be_guarded_alone_and_is_judged_by_the_path_that_was_sent() {
    let guarded = guarded(POLICY, IN_MEMORY).await;
    let guard = guarded.guard.clone();
    let address = serve(move || {
        let reports = web::scope("/reports").route("/{id}", web::to(async || "REPORT")).wrap(keyward_actix::guard(guard.clone()));
        App::new().service(web::scope("/api").service(reports)).route("/free", web::to(async || "free"))
    });
    assert_eq!(status(&get(address, "/free", "").await), 200);
    assert_eq!(status(&get(address, "/api/reports/1", "").await), 401);
    assert_eq!(status(&get(address, "/api/reports/1", &guarded.plain).await), 403);
    assert_eq!(status(&get(address, "/api/%72eports/1", &guarded.plain).await), 403);
    assert_eq!(status(&get(address, "/api/reports/1", &guarded.reader).await), 200);
    assert_eq!(status(&get(address, "/api/reports/", "").await), 401);
}

async fn fails(_: ServiceRequest, _: Next<impl MessageBody>) -> Result<ServiceResponse, Error> {
    Err(actix_web::error::ErrorImATeapot("short and stout"))
}

#[tokio::test]
async fn answers_that_are_errors_carry_the_headers_too() {
    let guarded = guarded("[limits]\nper_key = ['9/hour']", IN_MEMORY).await;
    let guard = guarded.guard.clone();
    let address = serve(move || {
        App::new()
            .service(web::resource("/middleware").to(async || "never").wrap(from_fn(fails)))
            .route("/handler", web::to(async || Err::<&str, _>(actix_web::error::ErrorConflict("no"))))
            .route("/extractor", web::to(async |_: web::Query<[u8; 3]>| "never"))
            .route("/own", web::to(async || HttpResponse::Ok().insert_header(("Cache-Control", "max-age=5")).finish()))
            .wrap(keyward_actix::guard(guard.clone()))
    });
    for (target, expected) in [("/middleware", 418), ("/handler", 409), ("/extractor", 400), ("/nowhere", 404), ("/own", 200)] {
        let answer = get(address, target, &guarded.plain).await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(answer.contains("x-request-id: ") && answer.contains("\r\nratelimit: "), "{answer}");
        // The handler's own word counts.
        let cache = if target == "/own" { "cache-control: max-age=5\r\n" } else { "cache-control: private\r\n" };
        assert!(answer.contains(cache) && answer.matches("cache-control").count() == 1, "{answer}");
    }
}

#[tokio::test]
async fn the_answer_to_a_head_tells_the_length_of_what_a_get_would_get() {
    let guard = guarded(POLICY, IN_MEMORY).await.guard;
    let address = serve(move || app(guard.clone()));
    let rest = "/x HTTP/1.1\r\nHost: a\r\nX-Request-ID: same\r\nConnection: close\r\n\r\n";
    let (get, head) = (send(address, format!("GET {rest}")).await, send(address, format!("HEAD {rest}")).await);
    let lines = |answer: &str| {
        let mut lines: Vec<String> = answer.split("\r\n\r\n").next().unwrap().lines().map(str::to_owned).collect();
        lines.retain(|line| !line.starts_with("date: "));
        lines.sort();
        lines
    };
    assert_eq!(lines(&get), lines(&head));
    assert!(status(&head) == 401 && head.ends_with("\r\n\r\n") && !head.contains("content-length: 0"), "{head}");
}

#[tokio::test]
async fn bodies_pass_in_pieces_as_they_come() {
    let guarded = guarded(POLICY, IN_MEMORY).await;
    let guard = guarded.guard.clone();
    let address = serve(move || {
        let pieces = async |body: web::Payload| {
            HttpResponse::Ok().streaming(stream::unfold(body, async |mut body| {
                use futures_util::StreamExt as _;
                Some((body.next().await?, body))
            }))
        };
        App::new().route("/echo", web::post().to(pieces)).wrap(keyward_actix::guard(guard.clone()))
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\nTransfer-Encoding: chunked\r\n\r\n", guarded.plain);
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in ["one", "two", "six"] {
        stream.write_all(format!("3\r\n{piece}\r\n").as_bytes()).await.unwrap();
        // Each comes back before the next is sent.
        let mut answer = Vec::new();
        while !answer.ends_with(format!("3\r\n{piece}\r\n").as_bytes()) {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
        }
    }
}

async fn answers(stream: &mut TcpStream, count: usize) -> Vec<u16> {
    let (mut answer, mut statuses) = (String::new(), Vec::new());
    while statuses.len() < count {
        let mut bytes = [0; 4096];
        let length = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut bytes)).await.unwrap().unwrap();
        assert_ne!(length, 0, "{answer}");
        answer.push_str(&String::from_utf8_lossy(&bytes[..length]));
        statuses = answer.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().unwrap()).collect();
    }
    statuses
}

#[tokio::test]
async fn requests_in_a_row_are_each_decided() {
    for store in [IN_MEMORY, SLOW] {
        let guarded = guarded(POLICY, store).await;
        let guard = guarded.guard.clone();
        let address = serve(move || app(guard.clone()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let one = |key: &str| format!("GET /who HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n");
        let (good, bad) = (one(&guarded.plain), one("wrong"));
        stream.write_all([&*good, &bad, &good, &bad, &good].concat().as_bytes()).await.unwrap();
        assert_eq!(answers(&mut stream, 5).await, [200, 401, 200, 401, 200]);
        // The answer to a HEAD ends where it says, although the server has read another request since.
        let head = bad.replace("GET", "HEAD");
        stream.write_all([&*head, &good].concat().as_bytes()).await.unwrap();
        assert_eq!(answers(&mut stream, 2).await, [401, 200]);
        stream.write_all(good.as_bytes()).await.unwrap();
        assert_eq!(answers(&mut stream, 1).await, [200]);
    }
}

#[tokio::test]
async fn the_body_of_a_denied_request_is_never_read_as_a_request() {
    let guarded = guarded(POLICY, IN_MEMORY).await;
    let guard = guarded.guard.clone();
    let address = serve(move || app(guard.clone()));
    let smuggled = format!("GET /who HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n\r\n", guarded.plain);
    let length = format!("Content-Length: {}\r\n\r\n{smuggled}", smuggled.len());
    let chunks = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    for body in [length, chunks] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let last = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(format!("POST /who HTTP/1.1\r\nHost: a\r\n{body}{last}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        let statuses: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(|rest| &rest[..3]).collect();
        // actix-web closes, and says so, where it would have to read a body of some length that nobody wants.
        let closes = answer.contains("connection: close");
        assert!(statuses == ["401", "200"] || (statuses == ["401"] && closes), "{answer}");
        assert!(statuses.len() == 1 || answer.ends_with("\r\n\r\nok"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_while_a_decision_waits_harms_nobody() {
    // Long enough for a busy machine: each client has left long before its decision.
    let guarded = guarded(POLICY, Store::Slow(Duration::from_secs(3))).await;
    let (guard, reached) = (guarded.guard.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = reached.clone();
    let address: SocketAddr = serve(move || {
        let counted = counted.clone();
        let handler = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready("in")
        };
        App::new().route("/", web::to(handler)).wrap(keyward_actix::guard(guard.clone()))
    });
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n\r\n", guarded.plain);
        let before = guarded.lookups.load(Ordering::SeqCst);
        stream.write_all(request.as_bytes()).await.unwrap();
        // A connection that ends before it is read does not show.
        while guarded.lookups.load(Ordering::SeqCst) < before + 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stream.set_zero_linger().unwrap();
    }
    assert_eq!(status(&get(address, "/", &guarded.plain).await), 200);
    assert_eq!(reached.load(Ordering::SeqCst), 1, "a request went on whose client had gone");
}

#[tokio::test]
async fn the_peer_is_the_sockets_unless_the_server_says_otherwise() {
    const ONLY_FROM: &str = "[network]\nallow = ['203.0.113.9']";
    let guarded = guarded(ONLY_FROM, IN_MEMORY).await;
    let claims = |key: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\nX-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\nConnection: close\r\n\r\n"
        )
    };
    let guard = guarded.guard.clone();
    let plain = move || App::new().route("/", web::to(async || "in")).wrap(keyward_actix::guard(guard.clone()));
    let address = serve(plain.clone());
    assert_eq!(status(&send(address, claims(&guarded.plain)).await), 403);
    // What accepts connections may know better: behind a Unix socket, say.
    let told = actix_web::HttpServer::new(plain)
        .workers(1)
        .disable_signals()
        .on_connect(|_, data| {
            data.insert(Peer([203, 0, 113, 9].into()));
        })
        .bind("127.0.0.1:0")
        .unwrap();
    let address = told.addrs()[0];
    tokio::spawn(told.run());
    assert_eq!(status(&send(address, claims(&guarded.plain)).await), 200);
}

/// Takes whoever mutual TLS has proved.
struct Certificates;

impl Authenticator for Certificates {
    fn name(&self) -> &str {
        "certificates"
    }

    fn ambient(&self, ambient: &Ambient<'_>) -> Answer<Verdict> {
        Answer::ready(match ambient.connection_identity() {
            Some(name) => Verdict::Is(Box::new(Identity { id: name.to_owned(), name: name.to_owned(), ..Identity::default() })),
            None => Verdict::NotMine,
        })
    }
}

#[tokio::test]
async fn the_connections_own_security_can_tell_who_it_is() {
    let guard = Guard::builder(Policy::builder().build().unwrap()).authenticator(Certificates).build().unwrap();
    let app = move || {
        let who = async |who: Authenticated| who.name().to_owned();
        App::new().route("/", web::to(who)).wrap(keyward_actix::guard(guard.clone()))
    };
    assert_eq!(status(&get(serve(app.clone()), "/", "").await), 401);
    let told = actix_web::HttpServer::new(app).workers(1).disable_signals().on_connect(|_, data| {
        data.insert(ConnectionIdentity("billing".to_owned()));
    });
    let told = told.bind("127.0.0.1:0").unwrap();
    let address = told.addrs()[0];
    tokio::spawn(told.run());
    let answer = get(address, "/", "").await;
    assert!(status(&answer) == 200 && answer.ends_with("billing"), "{answer}");
}
