//! The GlowBack gateway as its document describes it: the real program, over real sockets, byte for byte.

mod support;

use std::io::Read;

use serde_json::{Value, json};
use support::websocket::{Ended, Socket, closed_at_once};
use support::{Answer, Server, command};

const GLOWBACK: &str = env!("CARGO_BIN_EXE_glowback");
const REFUSED: &str = r#"{"detail":"Invalid or missing API key"}"#;
const HSTS: &str = "max-age=63072000; includeSubDomains; preload";

fn start(variables: &[(&str, &str)]) -> Server {
    Server::start(GLOWBACK, variables)
}

fn with_keys(keys: &str) -> Server {
    start(&[("GLOWBACK_API_KEY", keys)])
}

fn post(server: &Server, target: &str, body: &str) -> Answer {
    server.send(&format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nX-API-Key: your-api-key\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ))
}

/// The log's records of one logger: level and message.
fn records(output: &str, logger: &str) -> Vec<(String, String)> {
    let lines = output.lines().filter(|line| !line.starts_with("listening on "));
    let records = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{line}")));
    let text = |record: &serde_json::Value, name: &str| record[name].as_str().unwrap_or_default().to_owned();
    records
        .filter(|record| text(record, "logger") == logger)
        .map(|record| (text(&record, "level"), text(&record, "message")))
        .collect()
}

#[test]
fn every_command_of_the_document() {
    let server = with_keys("your-api-key");
    for (target, headers, status, body) in [
        ("/backtests", &["Authorization: Bearer your-api-key"][..], 200, "[]"),
        ("/backtests", &["X-API-Key: your-api-key"], 200, "[]"),
        ("/backtests?api_key=your-api-key", &[], 200, "[]"),
        ("/backtests", &["X-Request-ID: custom-trace-123", "X-API-Key: your-api-key"], 200, "[]"),
        ("/backtests", &[], 401, REFUSED),
        ("/backtests", &["X-API-Key: another"], 401, REFUSED),
        ("/healthz", &[], 200, r#"{"status":"ok"}"#),
    ] {
        let answer = server.get(target, headers);
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{target} {headers:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{target} {headers:?}");
    }
}

#[test]
fn each_of_several_keys_is_taken_and_trimmed() {
    let server = with_keys(" key1,key2 , key3,");
    for (key, status) in [("key1", 200), ("key2", 200), ("key3", 200), ("key4", 401), ("key1,key2", 401), ("", 401)] {
        assert_eq!(server.get("/backtests", &[&format!("X-API-Key: {key}")]).status, status, "{key}");
        assert_eq!(server.get("/backtests", &[&format!("authorization: bEARER {key}")]).status, status, "{key}");
    }
}

#[test]
fn the_first_valid_key_of_the_three_sources_is_used() {
    let server = start(&[("GLOWBACK_API_KEY", "good"), ("GLOWBACK_RATE_LIMIT", "1000")]);
    let values = [None, Some("good"), Some("bad"), Some("worse"), Some("")];
    for bearer in values {
        for header in values {
            for query in values {
                let lines: Vec<String> = [("Authorization: Bearer ", bearer), ("X-API-Key: ", header)]
                    .into_iter()
                    .filter_map(|(name, value)| Some(format!("{name}{}", value?)))
                    .collect();
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                let target = query.map_or("/backtests".to_owned(), |key| format!("/backtests?api_key={key}"));
                let answer = server.get(&target, &lines);
                let expected = if [bearer, header, query].contains(&Some("good")) { 200 } else { 401 };
                assert_eq!(answer.status, expected, "{bearer:?} {header:?} {query:?}");
                if expected == 401 {
                    assert_eq!(answer.body, REFUSED);
                }
            }
        }
    }
}

#[test]
fn without_keys_it_is_in_development_mode_and_says_so() {
    for keys in [None, Some(("GLOWBACK_API_KEY", ""))] {
        let server = start(keys.as_slice());
        // Before anybody has asked for anything.
        assert!(server.output().contains("OPEN ACCESS"), "{}", server.output());
        assert_eq!(server.get("/backtests", &[]).status, 200);
        assert_eq!(server.get("/backtests", &["X-API-Key: whatever"]).status, 200);
        let (status, output) = server.stop();
        assert_eq!(status, Some(0));
        let warned = records(&output, "keyward");
        assert!(warned.iter().any(|(level, text)| level == "WARNING" && text.starts_with("OPEN ACCESS")), "{output}");
        let answered = records(&output, "glowback.api.auth");
        assert_eq!(answered.len(), 2, "{output}");
        assert!(answered.iter().all(|(level, text)| level == "WARNING" && text.starts_with("open_access ")), "{output}");
        assert!(!output.contains("api_key_accepted"), "{output}");
    }
}

#[test]
fn development_mode_is_told_once_at_every_level_by_the_variables_name() {
    for level in ["DEBUG", "INFO", "WARNING", "ERROR"] {
        let (_, output) = start(&[("GLOWBACK_LOG_LEVEL", level)]).stop();
        let told = records(&output, "glowback.development_mode");
        assert_eq!(told.len(), 1, "{output}");
        assert!(told[0].1.contains("GLOWBACK_API_KEY is not set"), "{output}");
    }
    let (_, output) = start(&[("GLOWBACK_API_KEY", "good"), ("GLOWBACK_LOG_LEVEL", "DEBUG")]).stop();
    assert_eq!(records(&output, "glowback.development_mode"), []);
}

#[test]
fn without_a_key_a_path_that_exists_looks_like_one_that_does_not() {
    let server = with_keys("good");
    let ask = |method: &str, target: &str, key: &str| {
        server.send(&format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nX-Request-ID: same\r\nConnection: close\r\n\r\n"
        ))
    };
    let told = |answer: &Answer| {
        let head = answer.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
        (head.map(str::to_owned).collect::<Vec<_>>(), answer.body.clone())
    };
    for (known, unknown) in [("/backtests", "/nope"), ("/v1/backtests", "/v1/nope"), ("/backtests/1", "/nope/1")] {
        for method in ["GET", "DELETE", "OPTIONS", "PATCH", "HEAD"] {
            let answer = ask(method, known, "bad");
            assert_eq!((answer.status, answer.header("allow")), (401, None), "{method} {known}");
            assert_eq!(told(&answer), told(&ask(method, unknown, "bad")), "{method} {known}");
        }
    }
    // Who has a key is told.
    let answer = ask("DELETE", "/backtests", "good");
    assert_eq!(answer.status, 405);
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("POST")), "{answer:?}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let server = with_keys("good");
    let port = server.address.port().to_string();
    let output = command(GLOWBACK, &[("GLOWBACK_API_KEY", "good"), ("PORT", &port)]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(&server.address.to_string()) && text.contains("PORT"), "{text}");
}

#[test]
fn with_keys_nothing_warns_at_the_start() {
    let (_, output) = with_keys("good").stop();
    assert_eq!(records(&output, "keyward"), []);
}

#[test]
fn a_request_id_is_echoed_and_an_odd_one_replaced() {
    let server = with_keys("good");
    for (target, key) in
        [("/healthz", ""), ("/backtests", ""), ("/backtests", "good"), ("/v1/backtests", "good"), ("/nope", "good")]
    {
        let key = format!("X-API-Key: {key}");
        let answer = server.get(target, &[&key, "X-Request-ID: custom-trace-123"]);
        assert_eq!(answer.header("x-request-id"), Some("custom-trace-123"), "{target}");
        for odd in ["X-Request-ID: a b", "X-Request-ID: \u{e4}", "X-Request-ID: ", "X-Request-ID: 1\r\nX-Request-ID: 2"] {
            let answer = server.get(target, &[&key, odd]);
            let id = answer.header("x-request-id").unwrap();
            assert_eq!((id.len(), id.matches('-').count()), (36, 4), "{target} {odd}");
        }
    }
}

#[test]
fn every_answer_has_the_security_headers_and_no_cache_keeps_it() {
    let server = start(&[("GLOWBACK_API_KEY", "your-api-key"), ("GLOWBACK_MAX_BODY_BYTES", "10")]);
    let key = ["X-API-Key: your-api-key"];
    let mut answers = vec![
        server.get("/healthz", &[]),
        server.get("/backtests", &[]),
        server.get("/backtests", &key),
        server.get("/backtests?api_key=your-api-key", &[]),
        server.get("/backtests/none", &key),
        server.get("/nope", &key),
        server.get("/healthz/../backtests", &key),
        server.get("/backtests", &["X-API-Key: one", "X-API-Key: two"]),
        post(&server, "/backtests", "{}"),
        post(&server, "/backtests", "a longer one"),
        post(&server, "/healthz", ""),
    ];
    answers.extend(["/v1/healthz", "/v1/backtests", "/v1/nope", "/v1"].map(|target| server.get(target, &[])));
    for answer in answers {
        for (name, value) in [
            ("strict-transport-security", HSTS),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("permissions-policy", "geolocation=(), microphone=(), camera=()"),
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}: {answer:?}");
        }
        assert!(answer.header("x-request-id").is_some(), "{answer:?}");
    }
}

#[test]
fn the_json_log_has_the_fields_of_the_document() {
    let server = with_keys("your-api-key");
    server.get("/backtests", &["X-Request-ID: abc123"]);
    server.get("/backtests?api_key=another", &["X-Request-ID: abc124"]);
    server.get("/backtests", &["X-Request-ID: abc125", "X-API-Key: your-api-key"]);
    server.get("/healthz", &["X-Request-ID: abc126"]);
    let (_, output) = server.stop();
    let auth = |level: &str, event, id, key| {
        let message = format!("{event} request_id={id} method=GET path=/backtests client_ip=127.0.0.1 key_status={key}");
        (level.to_owned(), message)
    };
    assert_eq!(
        records(&output, "glowback.api.auth"),
        [
            auth("WARNING", "api_key_rejected", "abc123", "absent"),
            auth("WARNING", "api_key_rejected", "abc124", "present"),
            auth("INFO", "api_key_accepted", "abc125", "present"),
        ]
    );
    let completed = records(&output, "glowback.api.requests");
    for ((level, message), (id, path, status)) in completed.iter().zip([
        ("abc123", "/backtests", 401),
        ("abc124", "/backtests", 401),
        ("abc125", "/backtests", 200),
        ("abc126", "/healthz", 200),
    ]) {
        let beginning =
            format!("request_completed request_id={id} method=GET path={path} status={status} client_ip=127.0.0.1 duration_ms=");
        let duration = message.strip_prefix(&beginning).unwrap_or_else(|| panic!("{message}"));
        assert!(duration.parse::<f64>().is_ok(), "{message}");
        assert_eq!(level, "INFO");
    }
    assert_eq!(completed.len(), 4);
    // The names, their order and the form of the time are the document's.
    let line = output.lines().find(|line| line.contains("request_id=abc123") && line.contains("rejected")).unwrap();
    let (time, rest) = line.strip_prefix(r#"{"timestamp":""#).unwrap().split_once('"').unwrap();
    assert_eq!(
        rest,
        r#","level":"WARNING","logger":"glowback.api.auth","message":"api_key_rejected request_id=abc123 method=GET path=/backtests client_ip=127.0.0.1 key_status=absent"}"#
    );
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
}

#[test]
fn the_text_log_has_the_same_in_a_line() {
    let server = start(&[("GLOWBACK_API_KEY", "good"), ("GLOWBACK_LOG_FORMAT", "text")]);
    server.get("/backtests", &["X-Request-ID: abc123"]);
    let (_, output) = server.stop();
    let lines: Vec<&str> = output.lines().filter_map(|line| line.split_once("Z ").map(|(_, rest)| rest)).collect();
    assert_eq!(
        lines[0],
        "WARNING glowback.api.auth api_key_rejected request_id=abc123 method=GET path=/backtests client_ip=127.0.0.1 key_status=absent"
    );
    assert!(lines[1].starts_with("INFO glowback.api.requests request_completed request_id=abc123 "), "{output}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn the_level_leaves_out_what_is_below_it() {
    for (level, lines) in [("DEBUG", 4), ("info", 4), ("WARNING", 1), ("ERROR", 0)] {
        let server = start(&[("GLOWBACK_API_KEY", "good"), ("GLOWBACK_LOG_LEVEL", level)]);
        server.get("/backtests", &[]);
        server.get("/backtests", &["X-API-Key: good"]);
        let (_, output) = server.stop();
        let logged = output.lines().filter(|line| !line.starts_with("listening on ")).count();
        assert_eq!(logged, lines, "{level}:\n{output}");
    }
}

#[test]
fn no_output_ever_holds_a_key() {
    for format in ["json", "text"] {
        let server = start(&[
            ("GLOWBACK_API_KEY", "c4nary-good,c4nary-other"),
            ("GLOWBACK_LOG_FORMAT", format),
            ("GLOWBACK_LOG_LEVEL", "DEBUG"),
            ("GLOWBACK_RATE_LIMIT", "20"),
        ]);
        for key in ["c4nary-good", "c4nary-bad", "c4nary-%FF", "c4nary bad"] {
            let sent = key.replace(' ', "%20");
            for target in ["/backtests", "/v1/backtests", "/healthz", "/backtests/none", "/nope", "/backtests//x"] {
                let answers = [
                    server.get(&format!("{target}?api_key={sent}"), &[]),
                    server.get(&format!("{target}?x=1&api_key={sent}&api_key={sent}"), &[]),
                    server.get(target, &[&format!("X-API-Key: {key}")]),
                    server.get(target, &[&format!("Authorization: Bearer {key}"), &format!("X-API-Key: {key}")]),
                ];
                for answer in answers {
                    assert!(!format!("{answer:?}").contains("c4nary"), "{answer:?}");
                }
            }
        }
        // Where no request can be made of it.
        server.send("GET /backtests?api_key=c4nary-good HTTP/1.1\r\nHost: x\r\nbroken header\r\nX-API-Key: c4nary-good\r\n\r\n");
        let (_, output) = server.stop();
        assert!(!output.contains("c4nary"), "{output}");
    }
}

#[test]
fn a_backtest_is_run_listed_and_shown() {
    let server = with_keys("your-api-key");
    let order = r#"{"symbol":"AAPL","strategy":"sma_crossover","start":"2022-01-01","end":"2023-12-31"}"#;
    let made = post(&server, "/backtests", order);
    assert_eq!(made.status, 201, "{made:?}");
    let run: serde_json::Value = serde_json::from_str(&made.body).unwrap();
    assert_eq!((run["status"].as_str(), run["symbol"].as_str()), (Some("completed"), Some("AAPL")));
    let id = run["run_id"].as_str().unwrap();
    let key = ["X-API-Key: your-api-key"];
    assert_eq!(server.get(&format!("/backtests/{id}"), &key).body, made.body);
    assert_eq!(server.get(&format!("/v1/backtests/{id}"), &key).body, made.body);
    assert_eq!(server.get(&format!("/backtests/{id}"), &[]).body, REFUSED);
    let again: serde_json::Value = serde_json::from_str(&post(&server, "/v1/backtests", order).body).unwrap();
    assert_eq!(again["metrics"], run["metrics"]);
    let listed: serde_json::Value = serde_json::from_str(&server.get("/backtests", &key).body).unwrap();
    assert_eq!(listed, serde_json::json!([again, run]));
}

/// The id of a run that is there.
fn made(server: &Server, order: &str) -> String {
    let run: Value = serde_json::from_str(&post(server, "/backtests", order).body).unwrap();
    run["run_id"].as_str().unwrap().to_owned()
}

const DENIED: &str = "Invalid or missing API key";

#[test]
fn a_stream_opens_by_each_of_the_three_methods_and_is_closed_at_once_without() {
    let server = with_keys("other,your-api-key");
    let id = made(&server, "{}");
    for path in [format!("/backtests/{id}/stream"), format!("/v1/backtests/{id}/stream")] {
        for (query, headers, is_let_in) in [
            ("", &["Authorization: Bearer your-api-key"][..], true),
            ("", &["authorization: bearer your-api-key"], true),
            ("", &["X-API-Key: your-api-key"], true),
            ("?api_key=your-api-key", &[], true),
            ("?api_key=your%2Dapi-key&x=1", &[], true),
            ("", &[], false),
            ("?api_key=", &[], false),
            ("?api_key=another", &[], false),
            ("?API_KEY=your-api-key", &[], false),
            ("", &["Authorization: Bearer another"], false),
            ("", &["Authorization: Basic your-api-key"], false),
            ("", &["X-API-Key: another"], false),
            ("", &["Cookie: api_key=your-api-key"], false),
            ("", &["Sec-WebSocket-Protocol: your-api-key"], false),
        ] {
            let target = format!("{path}{query}");
            if is_let_in {
                let ended = Socket::open(server.address, &target, headers).unwrap().until_closed();
                assert_eq!(ended.close, Some((1000, String::new())), "{target} {headers:?}");
                assert!(ended.texts.last().unwrap().contains(r#""type":"completed""#), "{target} {headers:?}");
            } else {
                assert_eq!(closed_at_once(server.address, &target, headers), (1008, DENIED.to_owned()), "{target} {headers:?}");
            }
        }
    }
}

#[test]
fn the_first_valid_key_of_the_three_sources_opens_a_stream() {
    let server = start(&[("GLOWBACK_API_KEY", "your-api-key"), ("GLOWBACK_RATE_LIMIT", "1000")]);
    let path = format!("/backtests/{}/stream", made(&server, "{}"));
    let values = [None, Some("your-api-key"), Some("bad"), Some("")];
    for bearer in values {
        for header in values {
            for query in values {
                let lines: Vec<String> = [("Authorization: Bearer ", bearer), ("X-API-Key: ", header)]
                    .into_iter()
                    .filter_map(|(name, value)| Some(format!("{name}{}", value?)))
                    .collect();
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                let target = query.map_or(path.clone(), |key| format!("{path}?api_key={key}"));
                let ended = Socket::open(server.address, &target, &lines).unwrap().until_closed();
                let is_let_in = [bearer, header, query].contains(&Some("your-api-key"));
                let expected = if is_let_in { (1000, String::new()) } else { (1008, DENIED.to_owned()) };
                assert_eq!(
                    (ended.close, ended.texts.is_empty()),
                    (Some(expected), !is_let_in),
                    "{bearer:?} {header:?} {query:?}"
                );
            }
        }
    }
}

#[test]
fn a_stream_shows_the_run_from_its_first_day_to_its_end() {
    let server = with_keys("your-api-key");
    for (order, days, steps) in [
        (r#"{"symbol":"AAPL","start":"2023-01-02","end":"2023-01-06"}"#, 5, 5),
        (r#"{"symbol":"AAPL","strategy":"sma_crossover","start":"2000-01-01","end":"2023-12-31"}"#, 6260, 50),
        // A weekend: no market is open.
        (r#"{"start":"2023-01-07","end":"2023-01-08"}"#, 0, 0),
    ] {
        let id = made(&server, order);
        let run: Value =
            serde_json::from_str(&server.get(&format!("/backtests/{id}"), &["X-API-Key: your-api-key"]).body).unwrap();
        assert_eq!(run["metrics"]["trading_days"], days);
        let target = format!("/backtests/{id}/stream?api_key=your-api-key");
        let Ended { texts, close } = Socket::open(server.address, &target, &[]).unwrap().until_closed();
        assert_eq!(close, Some((1000, String::new())));
        let mut updates: Vec<Value> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        assert_eq!(updates.pop().unwrap(), json!({ "type": "completed", "run_id": id, "metrics": run["metrics"] }));
        assert_eq!(updates.len(), steps);
        let progress: Vec<f64> = updates.iter().map(|update| update["progress"].as_f64().unwrap()).collect();
        assert!(
            progress.is_sorted_by(|one, next| one < next) && progress.first().is_none_or(|first| *first > 0.0),
            "{progress:?}"
        );
        for update in &updates {
            let seen = json!({
                "type": "progress", "run_id": id, "progress": update["progress"],
                "date": update["date"], "equity": update["equity"], "trades": update["trades"],
            });
            assert_eq!(*update, seen);
        }
        if let Some(last) = updates.last() {
            assert_eq!(last["progress"], 1.0);
            assert_eq!(last["equity"], run["metrics"]["final_equity"]);
            assert_eq!(last["trades"], run["metrics"]["trades"]);
        }
    }
}

#[test]
fn a_stream_of_no_run_is_closed_and_what_is_no_handshake_is_told() {
    let server = with_keys("your-api-key");
    let key = ["X-API-Key: your-api-key", "X-Request-ID: abc123"];
    assert_eq!(closed_at_once(server.address, "/backtests/none/stream", &key), (4404, "Run not found".to_owned()));
    // Who has no key does not learn which runs there are.
    assert_eq!(closed_at_once(server.address, "/backtests/none/stream", &[]), (1008, DENIED.to_owned()));
    assert_eq!(closed_at_once(server.address, "/nope", &[]), (1008, DENIED.to_owned()));
    assert!(matches!(Socket::open(server.address, "/nope", &key), Err(404)));

    let id = made(&server, "{}");
    let text = "This is a WebSocket: send its handshake";
    let answer = server.get(&format!("/backtests/{id}/stream"), &key);
    assert_eq!((answer.status, answer.body), (426, format!(r#"{{"detail":"{text}"}}"#)));
    let answer = server.get(&format!("/v1/backtests/{id}/stream"), &key);
    let body = format!(r#"{{"error":{{"code":"upgrade-required","message":"{text}","details":null}},"request_id":"abc123"}}"#);
    assert_eq!((answer.status, answer.body), (426, body));
    // Not a handshake: 401, and no close frame.
    let answer = server.get(&format!("/backtests/{id}/stream"), &["Upgrade: websocket", "Connection: Upgrade"]);
    assert_eq!((answer.status, answer.body.as_str()), (401, REFUSED));
}

#[test]
fn streams_are_told_in_the_log_and_their_keys_are_not() {
    let server = start(&[("GLOWBACK_API_KEY", "your-api-key,c4nary-good"), ("GLOWBACK_LOG_LEVEL", "DEBUG")]);
    let id = made(&server, "{}");
    let open = |query: &str, id: &str| {
        let headers = [&*format!("X-Request-ID: {id}")];
        Socket::open(server.address, query, &headers).unwrap().until_closed().close.unwrap().0
    };
    let path = format!("/backtests/{id}/stream");
    assert_eq!(open(&format!("{path}?api_key=c4nary-good"), "abc1"), 1000);
    assert_eq!(open(&format!("{path}?api_key=c4nary-bad"), "abc2"), 1008);
    assert_eq!(open("/backtests/none/stream?api_key=c4nary-good", "abc3"), 4404);
    let (_, output) = server.stop();
    let sockets: Vec<String> = records(&output, "glowback.api.websockets").into_iter().map(|(_, message)| message).collect();
    assert_eq!(
        sockets,
        [
            format!("ws_connected request_id=abc1 path={path} client_ip=127.0.0.1"),
            format!("ws_disconnected request_id=abc1 path={path} client_ip=127.0.0.1 reason=completed"),
            "ws_connected request_id=abc3 path=/backtests/none/stream client_ip=127.0.0.1".to_owned(),
            "ws_disconnected request_id=abc3 path=/backtests/none/stream client_ip=127.0.0.1 reason=run_not_found".to_owned(),
        ]
    );
    let rejected = format!("api_key_rejected request_id=abc2 method=GET path={path} client_ip=127.0.0.1 key_status=present");
    assert!(records(&output, "glowback.api.auth").contains(&("WARNING".to_owned(), rejected)), "{output}");
    assert!(!output.contains("c4nary"), "{output}");
}

#[test]
fn in_development_mode_streams_are_open_too() {
    let server = start(&[]);
    let path = format!("/backtests/{}/stream", made(&server, "{}"));
    for query in ["", "?api_key=whatever"] {
        let ended = Socket::open(server.address, &format!("{path}{query}"), &[]).unwrap().until_closed();
        assert_eq!(ended.close, Some((1000, String::new())), "{query}");
    }
}

#[test]
fn what_cannot_be_answered_is_told_in_both_shapes() {
    let server = start(&[("GLOWBACK_API_KEY", "your-api-key"), ("GLOWBACK_MAX_BODY_BYTES", "64")]);
    let key = ["X-API-Key: your-api-key", "X-Request-ID: abc123"];
    let detail = |text: &str| format!(r#"{{"detail":"{text}"}}"#);
    let v1 = |code: &str, text: &str| {
        format!(r#"{{"error":{{"code":"{code}","message":"{text}","details":null}},"request_id":"abc123"}}"#)
    };
    for (target, status, code, text) in [
        ("/backtests/none", 404, "not-found", "Run not found"),
        ("/backtests/%ff", 404, "not-found", "Run not found"),
        ("/nope", 404, "not-found", "Not Found"),
        ("/backtests/none/stream", 404, "not-found", "Run not found"),
    ] {
        let answer = server.get(target, &key);
        assert_eq!((answer.status, answer.body), (status, detail(text)), "{target}");
        let answer = server.get(&format!("/v1{target}"), &key);
        assert_eq!((answer.status, answer.body), (status, v1(code, text)), "/v1{target}");
    }
    let answer = server.get("/v1/backtests", &["X-Request-ID: abc123"]);
    assert_eq!((answer.status, answer.body), (401, v1("unauthorized", "Invalid or missing API key")));
    let answer = server.get("/v1/backtests", &["X-Request-ID: abc123", "X-API-Key: bad"]);
    assert_eq!((answer.status, answer.body), (401, v1("unauthorized", "Invalid or missing API key")));

    for (body, status) in [("{", 400), ("[]", 422), (r#"{"symbol":""}"#, 422), (r#"{"start":"2023-02-30"}"#, 422)] {
        let answer = post(&server, "/backtests", body);
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.body.starts_with(r#"{"detail":""#), "{}", answer.body);
        assert!(post(&server, "/v1/backtests", body).body.starts_with(r#"{"error":{"code":""#), "{body}");
    }
    let answer = server.send("DELETE /backtests HTTP/1.1\r\nHost: x\r\nX-API-Key: your-api-key\r\nConnection: close\r\n\r\n");
    assert_eq!((answer.status, answer.body), (405, detail("Method Not Allowed")));
}

#[test]
fn a_body_is_too_large_from_one_byte_over_the_limit() {
    let server = start(&[("GLOWBACK_API_KEY", "your-api-key"), ("GLOWBACK_MAX_BODY_BYTES", "1000")]);
    let of = |bytes: usize| format!("{{{}}}", " ".repeat(bytes - 2));
    assert_eq!(post(&server, "/backtests", &of(1000)).status, 201);
    for target in ["/backtests", "/healthz", "/nope"] {
        let answer = post(&server, target, &of(1001));
        assert_eq!((answer.status, answer.body.as_str()), (413, r#"{"detail":"Request body too large"}"#), "{target}");
    }
    let answer = post(&server, "/v1/backtests", &of(3_000_000));
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains(r#""message":"Request body too large""#), "{}", answer.body);
    // Without a length, and without a key: nothing is read for nobody.
    let chunked = |key: &str, bytes: usize| {
        server.send(&format!(
            "POST /backtests HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{bytes:x}\r\n{}\r\n0\r\n\r\n",
            of(bytes)
        ))
    };
    assert_eq!(chunked("your-api-key", 1000).status, 201);
    assert_eq!(chunked("your-api-key", 1001).status, 413);
    assert_eq!(chunked("bad", 1001).status, 401);
}

#[test]
fn one_address_has_so_many_requests_in_a_window_on_all_paths_together() {
    let server = start(&[("GLOWBACK_API_KEY", "a,b"), ("GLOWBACK_RATE_LIMIT", "3"), ("GLOWBACK_RATE_WINDOW", "3600")]);
    for (target, key, left) in [("/backtests", "a", "2"), ("/v1/backtests", "b", "1"), ("/backtests", "b", "0")] {
        let answer = server.get(target, &[&format!("X-API-Key: {key}")]);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left));
        assert!(answer.header("x-ratelimit-reset").is_some_and(|reset| reset.parse::<u32>().is_ok()));
    }
    let limited = server.get("/backtests", &["X-API-Key: a"]);
    assert_eq!((limited.status, limited.body.as_str()), (429, r#"{"detail":"Rate limit exceeded"}"#));
    assert_eq!(limited.header("x-ratelimit-remaining"), Some("0"));
    assert!(limited.header("retry-after").is_some_and(|wait| (1..=1200).contains(&wait.parse().unwrap())));
    // Who has no key learns nothing of it, and the health check goes on.
    let missing = server.get("/backtests", &[]);
    assert_eq!((missing.status, missing.header("x-ratelimit-limit")), (401, None));
    assert_eq!(server.get("/healthz", &[]).status, 200);
}

#[test]
fn one_address_can_try_so_many_bad_keys_and_that_ends_no_good_one() {
    let server = start(&[("GLOWBACK_API_KEY", "good"), ("GLOWBACK_RATE_LIMIT", "3"), ("GLOWBACK_RATE_WINDOW", "3600")]);
    for target in ["/backtests", "/v1/backtests", "/nope"] {
        assert_eq!(server.get(target, &["X-API-Key: bad"]).status, 401, "{target}");
    }
    for target in ["/backtests", "/v1/backtests"] {
        assert_eq!(server.get(target, &["X-API-Key: bad"]).status, 429, "{target}");
        assert_eq!(server.get(target, &["X-API-Key: good"]).status, 200, "{target}");
        assert_eq!(server.get(target, &[]).status, 401, "{target}");
    }
}

#[test]
fn a_wrong_variable_is_named_and_nothing_starts() {
    for (variable, value) in [
        ("GLOWBACK_API_KEY", " , ,"),
        ("GLOWBACK_API_KEY", "good,c4nary with blanks"),
        ("GLOWBACK_LOG_FORMAT", "c4nary"),
        ("GLOWBACK_LOG_LEVEL", "c4nary"),
        ("GLOWBACK_RATE_LIMIT", "0"),
        ("GLOWBACK_RATE_LIMIT", "c4nary"),
        ("GLOWBACK_RATE_WINDOW", "1.5"),
        ("GLOWBACK_MAX_BODY_BYTES", "1MiB"),
        ("PORT", "99999"),
    ] {
        let mut child = command(GLOWBACK, &[(variable, value)]).spawn().unwrap();
        let status = child.wait().unwrap();
        let mut output = String::new();
        child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut output).unwrap();
        assert_eq!(status.code(), Some(2), "{variable}={value}: {output}");
        assert!(output.contains(variable) && !output.contains("listening"), "{variable}={value}: {output}");
        assert!(!output.contains("c4nary"), "{output}");
    }
}
