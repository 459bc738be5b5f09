//! Handshakes that are denied and closed (R12.1), of clients that do not do as they should. What becomes of all others is in the
//! named cases of single requests.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    SocketCase,
    client::{same, start, told, written},
};
use crate::{
    harness::Adapter,
    wire::{Connection, Upgraded},
};

const POLICY: &str = "[response]\nmissing = 'no key'\n[websocket]\non_denial = 'close'";

/// A text of 100 bytes, as a client sends it.
const TEXT: [u8; 106] = {
    let mut frame = [b'a'; 106];
    [frame[0], frame[1]] = [0x81, 0x80 | 100];
    [frame[2], frame[3], frame[4], frame[5]] = [0; 4];
    frame
};

/// A server may give a client a second for each of its steps.
const PATIENCE: Duration = Duration::from_secs(8);

pub(super) fn cases() -> Vec<SocketCase> {
    vec![
        SocketCase::new(
            "R12.1 a client that sends before it reads gets the close frame, and an orderly end",
            sends_before_it_reads,
        ),
        SocketCase::new("R12.1 a client that says nothing more is not waited for", says_nothing_more),
        SocketCase::new("R12.1 a client that never stops sending is not listened to", never_stops),
        SocketCase::new("R12.1 HTTP/1.0 has no handshake", http_1_0),
    ]
}

async fn sends_before_it_reads(adapter: Adapter) -> Result<(), String> {
    let service = start(adapter, POLICY).await?;
    let mut stream = TcpStream::connect(service.address().ok_or("an adapter has an address")?).await.map_err(told)?;
    stream.write_all(&[written("/ws/a", "").to_bytes(), TEXT.repeat(200)].concat()).await.map_err(told)?;
    sleep(Duration::from_millis(300)).await;
    closed_in_order(&mut stream).await?;
    same("requests that handlers saw", &0, &service.answered())
}

async fn says_nothing_more(adapter: Adapter) -> Result<(), String> {
    let service = start(adapter, POLICY).await?;
    let mut stream = TcpStream::connect(service.address().ok_or("an adapter has an address")?).await.map_err(told)?;
    stream.write_all(&written("/ws/a", "").to_bytes()).await.map_err(told)?;
    closed_in_order(&mut stream).await
}

/// A head, one close frame, and the end: a connection that is reset may have taken the frame with it.
async fn closed_in_order(stream: &mut TcpStream) -> Result<(), String> {
    let mut received = Vec::new();
    match timeout(PATIENCE, stream.read_to_end(&mut received)).await {
        Err(_) => return Err(format!("the connection is open after {PATIENCE:?}; received {}", received.escape_ascii())),
        Ok(Err(error)) => return Err(format!("{error}; received {}", received.escape_ascii())),
        Ok(Ok(_)) => {}
    }
    let end = received.windows(4).position(|window| window == b"\r\n\r\n").ok_or("an answer has a head")?;
    same("whether it is 101", &true, &received.starts_with(b"HTTP/1.1 101 "))?;
    let expected = Upgraded::Closed { code: 1008, reason: "no key".to_owned() };
    same("what follows", &expected, &Upgraded::of(&received[end + 4..]))
}

async fn never_stops(adapter: Adapter) -> Result<(), String> {
    let service = start(adapter, POLICY).await?;
    let stream = TcpStream::connect(service.address().ok_or("an adapter has an address")?).await.map_err(told)?;
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(&written("/ws/a", "").to_bytes()).await.map_err(told)?;
    let flood = async { while writer.write_all(&TEXT.repeat(100)).await.is_ok() {} };
    let reading = async {
        let mut received = Vec::new();
        // However the server gets rid of it.
        let _ = reader.read_to_end(&mut received).await;
        received
    };
    let Ok(((), received)) = timeout(PATIENCE, async { tokio::join!(flood, reading) }).await else {
        return Err(format!("the client could send for {PATIENCE:?}"));
    };
    same("whether it was answered", &true, &received.starts_with(b"HTTP/1.1 101 "))?;
    same("requests that handlers saw", &0, &service.answered())
}

async fn http_1_0(adapter: Adapter) -> Result<(), String> {
    let service = start(adapter, POLICY).await?;
    let address = service.address().ok_or("an adapter has an address")?;
    let mut connection = Connection::open(address, None).await.map_err(told)?;
    let sent = String::from_utf8(written("/ws/a", "").to_bytes()).map_err(told)?.replace("HTTP/1.1", "HTTP/1.0");
    connection.send(sent.as_bytes()).await.map_err(told)?;
    let received = connection.receive("GET").await.map_err(told)?;
    same("status", &401, &received.status)?;
    same("Sec-WebSocket-Accept", &Vec::new(), &received.values("Sec-WebSocket-Accept"))
}
