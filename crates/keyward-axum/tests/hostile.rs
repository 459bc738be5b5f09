//! Bad input over real sockets: what the server lets through is denied clearly, what it refuses itself is never a 2xx, and the
//! server goes on.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::any;
use keyward::{Guard, Keys, MemoryStore, NewKey, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const POLICY: &str = r#"
sources = [{ bearer = true }, { header = "X-API-Key" }, { cookie = "key" }, { query = "api_key" }]
[network]
trusted_proxies = ["127.0.0.0/8"]
client_address_header = "Forwarded"
deny = ["203.0.113.0/24"]
"#;

async fn start() -> (SocketAddr, String) {
    let store = MemoryStore::new();
    let made = Keys::new(store.clone()).create(NewKey::named("a")).await.unwrap();
    let guard = Guard::builder(Policy::from_toml("policy.toml", POLICY).unwrap()).store(store).build().unwrap();
    let app = Router::new().fallback(any(|| async { "PROTECTED" })).layer(keyward_axum::guard(guard));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await });
    (address, made.secret().expose().to_owned())
}

/// The status, and 0 where the server closed without an answer.
async fn send(address: SocketAddr, head: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = [head, b"Host: localhost\r\nConnection: close\r\n\r\n"].concat();
    // A server that refuses early closes while the rest is still on its way.
    let _ = stream.write_all(&request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    (answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), answer)
}

#[tokio::test]
async fn too_much_and_too_strange() {
    let (address, key) = start().await;
    let head = |rest: String| format!("GET /x HTTP/1.1\r\n{rest}").into_bytes();
    let cookies = (0..1_000).map(|number| format!("c{number}=v; ")).collect::<String>();
    for (what, request, expected) in [
        ("a good key", head(format!("X-API-Key: {key}\r\n")), &[200][..]),
        ("the largest header that hyper lets through", head(format!("X-API-Key: {}\r\n", "k".repeat(380_000))), &[401]),
        ("a larger one", head(format!("X-API-Key: {}\r\n", "k".repeat(500_000))), &[431, 0]),
        ("as many headers as hyper lets through", head("X-API-Key: k\r\n".repeat(97)), &[400]),
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
