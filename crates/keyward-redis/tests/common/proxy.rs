//! A way to the server on which replies can be held up.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Listens for as long as the process runs. `delay` tells how long a reply, or what has arrived of it, waits. Returns the address.
pub fn proxy(to: u16, delay: impl Fn(&[u8]) -> Duration + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let delay = Arc::new(delay);
    std::thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).unwrap();
            let ways = [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)];
            for (is_reply, (from, to)) in ways.into_iter().enumerate() {
                let delay = delay.clone();
                let wait = move |bytes: &[u8]| if is_reply == 1 { delay(bytes) } else { Duration::ZERO };
                std::thread::spawn(move || pump(from, to, wait));
            }
        }
    });
    url
}

fn pump(mut from: TcpStream, mut to: TcpStream, wait: impl Fn(&[u8]) -> Duration) {
    let mut bytes = [0; 4_096];
    while let Ok(length) = from.read(&mut bytes)
        && length > 0
    {
        std::thread::sleep(wait(&bytes[..length]));
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
