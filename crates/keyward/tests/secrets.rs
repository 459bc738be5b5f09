//! A secret is never in anything that comes out: Debug, errors, answers, events, explanations.

use std::io::Write;
use std::sync::{Arc, Mutex};

use http::Request;
use keyward::audit::{LineFormat, Lines, Ring};
use keyward::import::keys_file;
use keyward::{Decision, Guard, Keys, MemoryStore, Peer, Policy};

const CANARY: &str = "CANARYx7Fq2mZk9wLsecret0123456789";
const CANARY_AS_BASE64: &str = "Q0FOQVJZeDdGcTJtWms5d0xzZWNyZXQwMTIzNDU2Nzg5";

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Four characters may be shown of a key; eight of the canary's, plain or encoded, may not.
fn assert_clean(what: &str, text: &str) {
    for canary in [CANARY, CANARY_AS_BASE64] {
        for piece in (0..canary.len() - 8).map(|start| &canary[start..start + 8]) {
            assert!(!text.contains(piece), "{what} holds {piece}: {text}");
        }
    }
}

const SOURCES: &str = r#"sources = [
  { bearer = true }, { header = "X-API-Key" }, { header = "Authorization", scheme = "ApiKey" }, { cookie = "key" },
  { query = "api_key" }, { subprotocol = "base64url.bearer.authorization.keyward" }]
"#;

fn requests() -> Vec<Request<()>> {
    let get = |target: &str| Request::get(format!("/reports{target}")).extension(Peer([192, 0, 2, 1].into()));
    let headers: [&[(&str, &str)]; 15] = [
        &[("authorization", "Bearer KEY")],
        &[("authorization", "Bearer  KEY KEY")],
        &[("authorization", "ApiKey KEY")],
        &[("authorization", "KEY")],
        &[("x-api-key", "KEY")],
        &[("x-api-key", "KEY"), ("x-api-key", "KEY")],
        &[("x-api-key", "KEY"), ("authorization", "Bearer KEY")],
        &[("x-api-key", "KEY"), ("authorization", "Bearer KEYx")],
        &[("x-api-key", "KEY\tKEY")],
        &[("cookie", "a=b; key=KEY")],
        &[("cookie", "key=KEY; key=KEY")],
        &[("sec-websocket-protocol", "chat, base64url.bearer.authorization.keyward.BASE64")],
        &[("sec-websocket-protocol", "base64url.bearer.authorization.keyward.BASE64")],
        &[("x-request-id", "KEY KEY"), ("x-api-key", "KEY")],
        &[],
    ];
    let fill = |text: &str| text.replace("KEY", CANARY).replace("BASE64", CANARY_AS_BASE64);
    let mut requests = Vec::new();
    for all in headers {
        requests.push(all.iter().fold(get(""), |builder, (name, value)| builder.header(*name, fill(value))));
    }
    for query in ["?api_key=KEY", "?api_key=KEY%zz", "?api_key=KEY&api_key=KEY", "?a=1&api%5Fkey=KEY"] {
        requests.push(get(&fill(query)));
    }
    requests.into_iter().map(|builder| builder.body(()).unwrap()).collect()
}

#[test]
fn every_path_of_a_decision_keeps_the_secret() {
    let rows = [
        "",
        r#"{"key":"KEY","name":"valid"}"#,
        r#"{"key":"KEY","name":"revoked","revoked":true}"#,
        r#"{"key":"KEY","name":"expired","expires_at":"2001-01-01T00:00:00Z"}"#,
        r#"{"key":"KEY","name":"elsewhere","allowed_ips":["10.0.0.0/8"]}"#,
        r#"{"key":"KEY","handle":"not-how-it-begins","name":"refused"}"#,
    ];
    let extras = [
        "",
        "[[routes]]\npath = \"/reports\"\nscopes = [\"x\"]\n",
        "[limits]\nper_key = [\"1/day\"]\nfailures = \"2/day\"\n",
        "[network]\ndeny = [\"192.0.2.0/24\"]\n",
    ];
    let mut decided = 0;
    for row in rows {
        let store = MemoryStore::new();
        for key in keys_file(&row.replace("KEY", CANARY)) {
            if let Err(error) = pollster::block_on(Keys::new(store.clone()).import(key.unwrap())) {
                assert_clean("an import error", &format!("{error} {error:?}"));
            }
        }
        for resolution in ["reject-conflict", "first-present", "first-valid"] {
            for body in ["problem", "detail", "error"] {
                for extra in extras {
                    let policy = format!("{SOURCES}resolution = \"{resolution}\"\n{extra}[response]\nbody = \"{body}\"\n");
                    decided += decide_all(&policy, &store);
                }
            }
        }
    }
    assert_eq!(decided, 6 * 3 * 3 * 4 * 19);
}

fn decide_all(policy: &str, store: &MemoryStore) -> usize {
    let outputs: [Kept; 5] = Default::default();
    let lines = |index: usize, format| Lines::new(outputs[index].clone(), format);
    let logger = || "app".to_owned();
    let (ring, mut reader) = Ring::new(1_024);
    let sink = (
        (lines(0, LineFormat::Json), lines(1, LineFormat::Text)),
        ((lines(2, LineFormat::JsonMessage { logger: logger() }), lines(3, LineFormat::TextMessage { logger: logger() })), ring),
    );
    let guard =
        Guard::builder(Policy::from_toml("policy.toml", policy).unwrap()).store(store.clone()).audit(sink).build().unwrap();
    let requests = requests();
    for request in &requests {
        let explanation = pollster::block_on(guard.explain(request));
        assert_clean("an explanation", &format!("{explanation:?} {}", serde_json::to_string(&explanation).unwrap()));
        let decision = guard.decide_blocking(request);
        assert_clean("a Debug", &format!("{decision:?} {guard:?} {store:?}"));
        match decision {
            Decision::Denied(denial) => assert_clean("a denial", &format!("{:?}", denial.into_response())),
            Decision::Allowed(pass) => {
                assert_clean(
                    "an answer",
                    &format!("{:?} {:?}", pass.headers(), pass.principal().map(|who| who.record().cloned())),
                );
                let mut headers = request.headers().clone();
                guard.strip().headers(&mut headers);
                headers.remove("x-request-id");
                let uri = guard.strip().uri(request.uri()).unwrap_or_else(|| request.uri().clone());
                assert_clean("what the handler sees", &format!("{headers:?} {uri}"));
            }
        }
    }
    reader.drain(&lines(4, LineFormat::Json));
    for kept in &outputs {
        let text = kept.text();
        assert_eq!(text.lines().count(), requests.len(), "one event a decision: {text}");
        assert_clean("an audit line", &text);
    }
    requests.len()
}

#[test]
fn configuration_errors_keep_the_secret() {
    let policy = Policy::from_toml("policy.toml", "[[configured_keys]]\nenv = \"A\"").unwrap();
    let error = Guard::builder(policy).environment(|_| Some(format!("{CANARY} {CANARY}").into())).build().unwrap_err();
    assert_clean("a configuration error", &format!("{error} {error:?}"));
}
