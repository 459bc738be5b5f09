//! Bad input over real sockets: what the server lets through is denied clearly, what it refuses itself is never a 2xx, and the
//! server goes on.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use warp::Filter;

use crate::support::{Service, start, status};

const POLICY: &str = r#"
sources = [{ bearer = true }, { header = "X-API-Key" }, { cookie = "key" }, { query = "api_key" }]
[network]
trusted_proxies = ["127.0.0.0/8"]
client_address_header = "Forwarded"
deny = ["203.0.113.0/24"]
"#;

async fn protected() -> Service {
    start(POLICY, |_| warp::path!("x").map(|| "PROTECTED")).await
}

async fn send(service: &Service, head: &[u8]) -> (u16, String) {
    let answer = service.send([head, b"Host: localhost\r\nConnection: close\r\n\r\n"].concat()).await;
    (status(&answer), answer)
}

#[tokio::test]
async fn too_much_and_too_strange() {
    let service = protected().await;
    let key = &service.plain;
    let head = |rest: String| format!("GET /x HTTP/1.1\r\n{rest}").into_bytes();
    let cookies = (0..1_000).map(|number| format!("c{number}=v; ")).collect::<String>();
    for (what, request, expected) in [
        ("a good key", head(format!("X-API-Key: {key}\r\n")), &[200][..]),
        ("two keys", head(format!("X-API-Key: {key}\r\nX-API-Key: {key}\r\n")), &[400]),
        ("two of Authorization", head(format!("Authorization: Bearer {key}\r\nAuthorization: Basic eA==\r\n")), &[400]),
        ("two places with different keys", head(format!("X-API-Key: {key}\r\nAuthorization: Bearer other\r\n")), &[400]),
        ("the largest header that hyper lets through", head(format!("X-API-Key: {}\r\n", "k".repeat(380_000))), &[401]),
        ("a larger one", head(format!("X-API-Key: {}\r\n", "k".repeat(500_000))), &[431, 0]),
        ("as many headers as hyper lets through", head("X-API-Key: k\r\n".repeat(97)), &[400]),
        ("thousands of headers", head("X-API-Key: k\r\n".repeat(5_000)), &[431, 0]),
        ("a thousand cookies and a good key among them", head(format!("Cookie: {cookies}key={key}\r\n")), &[200]),
        ("a thousand keys in cookies", head(format!("Cookie: {}\r\n", "key=k; ".repeat(1_000))), &[400]),
        ("broken encodings", format!("GET /x?api_key=%zz{key} HTTP/1.1\r\n").into_bytes(), &[401]),
        ("many parameters", format!("GET /x?{}api_key={key} HTTP/1.1\r\n", "a=%zz&".repeat(5_000)).into_bytes(), &[200]),
        ("a malformed Forwarded", head(format!("X-API-Key: {key}\r\nForwarded: for=\"\r\n")), &[403]),
        ("an endless Forwarded", head(format!("X-API-Key: {key}\r\nForwarded: {}\r\n", "for=127.0.0.1,".repeat(5_000))), &[403]),
        ("a good Forwarded", head(format!("X-API-Key: {key}\r\nForwarded: for=192.0.2.1\r\n")), &[200]),
        ("a denied Forwarded", head(format!("X-API-Key: {key}\r\nForwarded: for=203.0.113.7\r\n")), &[403]),
        ("a folded header", head(format!("X-API-Key:\r\n {key}\r\n")), &[400, 0]),
        ("a space before the colon", head(format!("X-API-Key : {key}\r\n")), &[400, 0]),
        ("another spelling", head(format!("X_API_Key: {key}\r\n")), &[401]),
    ] {
        let (status, answer) = send(&service, &request).await;
        assert!(expected.contains(&status), "{what}: {answer}");
        assert!(status == 200 || !answer.contains("PROTECTED"), "{what}: {answer}");
    }
}

#[tokio::test]
async fn every_byte_in_every_place() {
    let service = protected().await;
    for byte in 0..=255_u8 {
        let (first, second) = service.plain.split_at(10);
        let broken = [first.as_bytes(), &[byte], second.as_bytes()].concat();
        for (name, before) in [("X-API-Key: ", ""), ("Authorization: ", "Bearer "), ("Cookie: ", "key="), ("X-API-Key", "")] {
            let request = [b"GET /x HTTP/1.1\r\n", name.as_bytes(), before.as_bytes(), &broken, b"\r\n"].concat();
            let (status, answer) = send(&service, &request).await;
            assert!(!answer.contains("PROTECTED"), "{name} {byte}: {answer}");
            assert!(matches!(status, 0 | 400 | 401), "{name} {byte}: {answer}");
        }
        let target = [b"GET /x?api_key=", broken.as_slice(), b" HTTP/1.1\r\n"].concat();
        let (status, answer) = send(&service, &target).await;
        // A raw `&` or `#` ends the parameter within the key; what is left is another one.
        assert!(!answer.contains("PROTECTED") && matches!(status, 0 | 400 | 401), "target {byte}: {answer}");
        let path = [b"GET /", [byte].as_slice(), b"x HTTP/1.1\r\nX-API-Key: ", service.plain.as_bytes(), b"\r\n"].concat();
        let (status, answer) = send(&service, &path).await;
        assert!(matches!(status, 0 | 400 | 404), "path {byte}: {answer}");
    }
    let (status, _) = send(&service, format!("GET /x HTTP/1.1\r\nX-API-Key: {}\r\n", service.plain).as_bytes()).await;
    assert_eq!(status, 200);
}

/// A denial leaves the body unread; what follows it is a request of its own, never a part of the body.
#[tokio::test]
async fn an_unread_body_is_no_request() {
    let service = start("", |_| warp::any().and(warp::body::bytes()).map(|_| "PROTECTED")).await;
    let smuggled = format!("GET /x HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n\r\n", service.plain);
    let head = format!("POST /x HTTP/1.1\r\nHost: a\r\nX-API-Key: wrong\r\nContent-Length: {}\r\n\r\n", smuggled.len());
    let last = format!("GET /x HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\nConnection: close\r\n\r\n", service.plain);
    let answer = service.send(format!("{head}{smuggled}{last}")).await;
    assert_eq!((answer.matches("HTTP/1.1 401").count(), answer.matches("PROTECTED").count()), (1, 1), "{answer}");
    // A body that comes late is drained or ends the connection; it is never answered.
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let _ = stream.write_all(smuggled.as_bytes()).await;
    let _ = stream.write_all(last.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 401") && answer.matches("PROTECTED").count() <= 1, "{answer}");
}

#[tokio::test]
async fn each_of_several_requests_in_one_packet_is_decided_for_itself() {
    let service = protected().await;
    let requests: String = [service.plain.as_str(), "wrong", &service.plain, "", &service.reader]
        .iter()
        .map(|key| format!("GET /x HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n"))
        .chain(["GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned()])
        .collect();
    let answer = service.send(requests).await;
    let statuses: Vec<u16> = answer.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect();
    assert_eq!(statuses, [200, 401, 200, 401, 200, 401], "{answer}");
}
