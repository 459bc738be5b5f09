//! What is fetched, seen from the server that it is fetched from, and from one next to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::channel;

use super::*;
use crate::site::tests::FORBIDDEN;

/// A server that notes what it is asked for. `answer` makes an answer of a path.
struct Noting {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Noting {
    fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                notes.lock().unwrap().push(path.clone());
                // The client may have seen enough.
                let _ = stream.write_all(answer(&path).as_bytes());
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn html(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn crawled(address: SocketAddr, url: &str) -> Vec<Told> {
    ordered(address, &serde_json::json!({ "url": url }).to_string())
}

fn ordered(address: SocketAddr, order: &str) -> Vec<Told> {
    let order = serde_json::from_str(order).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let site = Site::served_at(address);
    let (tell, mut listener) = channel(10_000);
    runtime.block_on(crawl(&site, &order, tell)).unwrap();
    std::iter::from_fn(|| listener.try_recv().ok()).collect()
}

fn logs(told: &[Told]) -> Vec<&str> {
    told.iter().filter_map(|told| if let Told::Log(text) = told { Some(text.as_str()) } else { None }).collect()
}

#[test]
fn what_must_not_be_fetched_is_not() {
    let other = Noting::start(|_| html("<title>Reached</title>"));
    let ours = Noting::start(|_| html("<title>Reached</title>"));
    let (port, other_port) = (ours.address.port().to_string(), other.address.port().to_string());
    for written in FORBIDDEN {
        // With this server's port, the next one's, and as they stand.
        for address in [written.replace("8000", &port), written.replace("8000", &other_port), (*written).to_owned()] {
            let told = crawled(ours.address, &address);
            assert!(matches!(&told[..], [Told::Error(_)]), "{address:?}: {told:?}");
        }
    }
    assert_eq!((ours.asked(), other.asked()), (vec![], vec![]));
    let good = format!("http://{}/demo/", ours.address);
    assert!(matches!(&crawled(ours.address, &good)[..], [Told::Url(_), Told::Result(_)]));
    assert_eq!(ours.asked(), ["/demo/"]);
}

#[test]
fn links_and_redirects_lead_nowhere_else() {
    let other = Noting::start(|_| html("<title>Reached</title>"));
    let elsewhere = format!("http://{}/demo/", other.address);
    let redirects = [
        ("301", elsewhere.clone()),
        ("302", format!("//{}/demo/", other.address)),
        ("303", "/health".to_owned()),
        ("307", "/demo/good.html".to_owned()),
        ("308", "file:///etc/passwd".to_owned()),
    ];
    let ours = Noting::start(move |path| {
        let redirect = redirects.iter().find(|(status, _)| path == format!("/demo/{status}"));
        if let Some((status, location)) = redirect {
            return format!("HTTP/1.1 {status} x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        }
        let forbidden: String = FORBIDDEN.iter().filter(|link| link.starts_with("http://")).fold(String::new(), |links, link| {
            let link = link.replace("8000", &elsewhere["http://127.0.0.1:".len()..elsewhere.len() - "/demo/".len()]);
            links + &format!("<a href='{}'>x</a>", link.replace('\'', "&#39;"))
        });
        html(&format!(
            "<title>Page</title><base href='{elsewhere}'><meta http-equiv=refresh content='0;url={elsewhere}'>\
             <a href=301><a href=302><a href=303><a href=307><a href=308><a href='{elsewhere}'>{forbidden}<a href=../health>"
        ))
    });
    let told = crawled(ours.address, &format!("http://{}/demo/", ours.address));
    assert_eq!(other.asked(), Vec::<String>::new());
    assert_eq!(ours.asked(), ["/demo/", "/demo/301", "/demo/302", "/demo/303", "/demo/307", "/demo/308"]);
    assert_eq!(logs(&told).iter().filter(|text| text.contains("it is a redirect, and those are not followed")).count(), 5);
    assert!(matches!(told.last(), Some(Told::Result(text)) if text.lines().filter(|line| line.starts_with("- ")).count() == 1));
}

#[test]
fn pages_depth_and_bytes_are_bounded() {
    let endless = Noting::start(|path| {
        let number: usize = path.trim_start_matches("/demo/").parse().unwrap_or(0);
        html(&format!("<a href=/demo/{}>next</a>", number + 1))
    });
    let start = format!("http://{}/demo/0", endless.address);
    crawled(endless.address, &start);
    assert_eq!(endless.asked().len(), MOST_DEPTH + 1);

    let wide = Noting::start(|path| {
        let links = (0..100).fold(String::new(), |links, number| format!("{links}<a href='{path}{number}/'>"));
        html(&links)
    });
    let start = format!("http://{}/demo/", wide.address);
    let told = crawled(wide.address, &start);
    assert_eq!(wide.asked().len(), MOST_PAGES);
    assert!(logs(&told).iter().any(|text| text.contains("more pages are left out")), "{told:?}");
    for (wanted, expected) in [("0", 1), ("3", 3), ("4294967296", MOST_PAGES)] {
        let before = wide.asked().len();
        ordered(wide.address, &format!(r#"{{"url":"{start}","maxPages":{wanted},"enableAutoUpdate":true}}"#));
        assert_eq!(wide.asked().len() - before, expected, "{wanted}");
    }

    for (bytes, is_read) in [(crate::fetch::MOST_BYTES, true), (crate::fetch::MOST_BYTES + 1, false)] {
        // With its length, and without.
        for head in [format!("Content-Length: {bytes}\r\n"), String::new()] {
            let large = Noting::start(move |_| {
                format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n{head}\r\n{}", " ".repeat(bytes))
            });
            let told = crawled(large.address, &format!("http://{}/demo/", large.address));
            assert_eq!(matches!(told.last(), Some(Told::Result(_))), is_read, "{bytes}: {told:?}");
        }
    }
}

#[test]
fn what_is_no_page_is_left_out_and_told() {
    for (answer, why) in [
        ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "not HTML"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "not HTML"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "204"),
        ("not HTTP at all\r\n\r\n", "the connection ended"),
        ("", "the connection ended"),
    ] {
        let server = Noting::start(|_| answer.to_owned());
        let told = crawled(server.address, &format!("http://{}/demo/", server.address));
        assert!(logs(&told)[0].contains(why), "{answer:?}: {told:?}");
        assert_eq!(told.last(), Some(&Told::Error("no page could be read".to_owned())));
    }
}

#[test]
fn nobody_listening_ends_it() {
    let server = Noting::start(|_| html("<a href=one><a href=two>"));
    let order =
        serde_json::from_str(&serde_json::json!({ "url": format!("http://{}/demo/", server.address) }).to_string()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let site = Site::served_at(server.address);
    let (tell, listener) = channel(1);
    drop(listener);
    assert!(runtime.block_on(crawl(&site, &order, tell)).is_err());
    assert_eq!(server.asked().len(), 1);
}
