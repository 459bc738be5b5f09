//! Bad input over real sockets: what the server lets through is denied clearly, what it refuses itself is never a 2xx, and the
//! server goes on.

use std::net::SocketAddr;

use crate::support::{Store, guarded, serve, status};
use actix_web::{App, web};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const POLICY: &str = r#"
sources = [{ bearer = true }, { header = "X-API-Key" }, { cookie = "key" }, { query = "api_key" }]
[network]
trusted_proxies = ["127.0.0.0/8"]
client_address_header = "Forwarded"
deny = ["203.0.113.0/24"]
"#;

async fn start() -> (SocketAddr, String) {
    let guarded = guarded(POLICY, Store::InMemory).await;
    let guard = guarded.guard;
    let address =
        serve(move || App::new().default_service(web::to(async || "PROTECTED")).wrap(keyward_actix::guard(guard.clone())));
    (address, guarded.plain)
}

async fn send(address: SocketAddr, head: &[u8]) -> (u16, String) {
    let answer = crate::support::send(address, [head, b"Host: localhost\r\nConnection: close\r\n\r\n"].concat()).await;
    (status(&answer), answer)
}

#[tokio::test]
async fn too_much_and_too_strange() {
    let (address, key) = start().await;
    let head = |rest: String| format!("GET /x HTTP/1.1\r\n{rest}").into_bytes();
    let cookies = (0..1_000).map(|number| format!("c{number}=v; ")).collect::<String>();
    for (what, request, expected) in [
        ("a good key", head(format!("X-API-Key: {key}\r\n")), &[200][..]),
        ("a large header", head(format!("X-API-Key: {}\r\n", "k".repeat(100_000))), &[401]),
        ("one beyond what actix-web reads", head(format!("X-API-Key: {}\r\n", "k".repeat(500_000))), &[431, 0]),
        ("as many headers as actix-web reads", head("X-API-Key: k\r\n".repeat(94)), &[400]),
        ("one more", head("X-API-Key: k\r\n".repeat(95)), &[431, 0]),
        ("thousands of headers", head("X-API-Key: k\r\n".repeat(5_000)), &[431, 0]),
        ("a thousand cookies and a good key among them", head(format!("Cookie: {cookies}key={key}\r\n")), &[200]),
        ("a thousand cookies without one", head(format!("Cookie: {cookies}\r\n")), &[401]),
        ("a thousand keys in cookies", head(format!("Cookie: {}\r\n", "key=k; ".repeat(1_000))), &[400]),
        ("broken encodings", format!("GET /x?api_key=%zz{key} HTTP/1.1\r\n").into_bytes(), &[401]),
        ("many parameters", format!("GET /x?{}api_key={key} HTTP/1.1\r\n", "a=%zz&".repeat(5_000)).into_bytes(), &[200]),
        ("a malformed Forwarded", head(format!("X-API-Key: {key}\r\nForwarded: for=\"\r\n")), &[403]),
        ("an endless Forwarded", head(format!("X-API-Key: {key}\r\nForwarded: {}\r\n", "for=127.0.0.1,".repeat(5_000))), &[403]),
        ("a good Forwarded", head(format!("X-API-Key: {key}\r\nForwarded: for=192.0.2.1\r\n")), &[200]),
        ("a folded header", head(format!("X-API-Key:\r\n {key}\r\n")), &[400, 0]),
        ("a space before the colon", head(format!("X-API-Key : {key}\r\n")), &[400, 0]),
        ("another spelling", head(format!("X_API_Key: {key}\r\n")), &[401]),
    ] {
        let (status, answer) = send(address, &request).await;
        assert!(expected.contains(&status), "{what}: {answer}");
        assert!(status == 200 || !answer.contains("PROTECTED"), "{what}: {answer}");
    }
}

#[tokio::test]
async fn every_byte_in_every_place() {
    let (address, key) = start().await;
    for byte in 0..=255_u8 {
        let (first, second) = key.split_at(10);
        let broken = [first.as_bytes(), &[byte], second.as_bytes()].concat();
        for (name, before) in [("X-API-Key: ", ""), ("Authorization: ", "Bearer "), ("Cookie: ", "key="), ("X-API-Key", "")] {
            let request = [b"GET /x HTTP/1.1\r\n", name.as_bytes(), before.as_bytes(), &broken, b"\r\n"].concat();
            let (status, answer) = send(address, &request).await;
            assert!(!answer.contains("PROTECTED"), "{name} {byte}: {answer}");
            assert!(matches!(status, 0 | 400 | 401), "{name} {byte}: {answer}");
        }
        let target = [b"GET /x?api_key=", broken.as_slice(), b" HTTP/1.1\r\n"].concat();
        let (status, answer) = send(address, &target).await;
        // A raw `&` or `#` ends the parameter within the key; what is left is another one.
        assert!(!answer.contains("PROTECTED") && matches!(status, 0 | 400 | 401), "target {byte}: {answer}");
    }
    let (status, _) = send(address, format!("GET /x HTTP/1.1\r\nX-API-Key: {key}\r\n").as_bytes()).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn bytes_beyond_ascii_in_other_headers_stay_as_they_are() {
    let guarded = guarded("", Store::InMemory).await;
    let guard = guarded.guard;
    let address = serve(move || {
        let told = async |request: actix_web::HttpRequest| {
            format!("{:?}", request.headers().get("x-other").map(|value| value.as_bytes()))
        };
        App::new().route("/", web::to(told)).wrap(keyward_actix::guard(guard.clone()))
    });
    let request = [b"GET / HTTP/1.1\r\nX-Other: \xe4\xff\r\nX-API-Key: ", guarded.plain.as_bytes(), b"\r\n"].concat();
    let (status, answer) = send(address, &request).await;
    assert!(status == 200 && answer.ends_with("Some([228, 255])"), "{answer}");
}

#[tokio::test]
async fn nobody_can_go_on_sending_a_body_in_chunks_after_a_denial() {
    let guarded = guarded("", Store::InMemory).await;
    let guard = guarded.guard.clone();
    let address = serve(move || App::new().wrap(keyward_actix::guard(guard.clone())));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await.unwrap();
    let sending = async {
        // The server goes on reading for a few seconds, so that the client gets to see the answer; then that is that.
        while stream.write_all(b"3\r\nabc\r\n").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), sending).await;
    assert!(ended.is_ok(), "still read");
}
