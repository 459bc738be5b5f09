//! Many open WebSockets of one key: what each of them takes, against the same server bare, and how soon they have ended when the key is
//! revoked.
//!
//! Each server is a process of its own. Clients are tasks of this one, and read bytes: what they do is the same for every server.
//! Both processes need a file descriptor for each connection, and actix-web's two: `ulimit -n 25000`.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use keyward::key::KeyId;
use keyward::{Guard, Keys, MemoryStore, NewKey, Policy};
use keyward_axum::HeldSocket;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use warp::Filter as _;

const FRAMEWORKS: [&str; 3] = ["axum", "actix-web", "warp"];
const CONNECTIONS: usize = 10_000;
/// So many handshakes are under way at once.
const AT_ONCE: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", framework, kind] => serve(framework, *kind == "keyward"),
        [] => FRAMEWORKS.into_iter().for_each(measure),
        frameworks => frameworks.iter().for_each(|framework| measure(framework)),
    }
}

fn measure(framework: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let bare = Server::start(framework, "bare");
        let (before, clients) = (bare.memory(), open_all(&bare).await);
        let of_bare = each(bare.memory() - before);
        drop((clients, bare));
        let mut server = Server::start(framework, "keyward");
        let (before, clients) = (server.memory(), open_all(&server).await);
        let of_ours = each(server.memory() - before);
        let mut late = revoked(&mut server, clients).await;
        late.sort_unstable();
        let part = |part: usize| late[(late.len() - 1) * part / 100].as_millis();
        println!("{framework}, {CONNECTIONS} open sockets of one key");
        println!("  an idle one: {of_ours:.1} KiB, bare {of_bare:.1} KiB");
        println!("  after the revocation all ended with 1008: half within {} ms, the last after {} ms", part(50), part(100));
    });
}

#[expect(clippy::cast_precision_loss, reason = "it is printed with one digit")]
fn each(kibibytes: u64) -> f64 {
    kibibytes as f64 / CONNECTIONS as f64
}

/// A server that runs in a process of its own.
struct Server {
    process: Child,
    told: BufReader<ChildStdout>,
    says: ChildStdin,
    address: SocketAddr,
    key: String,
}

impl Server {
    fn start(framework: &str, kind: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.args(["serve", framework, kind]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("a server");
        let (told, says) = (process.stdout.take().expect("its output"), process.stdin.take().expect("its input"));
        let mut told = BufReader::new(told);
        let mut line = || {
            let mut line = String::new();
            told.read_line(&mut line).expect("a line");
            line.trim_end().to_owned()
        };
        let (address, key) = (line().parse().expect("an address"), line());
        Self { process, told, says, address, key }
    }

    /// What of it is in memory, in KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("this needs Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().split(' ').next().and_then(|size| size.parse().ok()).expect("a number")
    }

    /// Returns when the revocation is acknowledged.
    fn revoke(&mut self) -> Instant {
        self.says.write_all(b"revoke\n").expect("told");
        let mut line = String::new();
        self.told.read_line(&mut line).expect("a line");
        assert_eq!(line, "revoked\n");
        Instant::now()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn open_all(server: &Server) -> Vec<TcpStream> {
    let mut clients = Vec::with_capacity(CONNECTIONS);
    while clients.len() < CONNECTIONS {
        let more = AT_ONCE.min(CONNECTIONS - clients.len());
        clients.extend(futures_util::future::join_all((0..more).map(|_| open(server))).await);
    }
    // Until nobody is busy with the last of them, and everybody who looks after keys has.
    sleep(Duration::from_secs(2)).await;
    clients
}

async fn open(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.expect("a connection: is `ulimit -n` high enough?");
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-API-Key: {}\r\n\r\n",
        server.key
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("an answer"));
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    stream
}

/// How long after the revocation each of them was closed.
async fn revoked(server: &mut Server, clients: Vec<TcpStream>) -> Vec<Duration> {
    let closing: Vec<_> = clients.into_iter().map(|client| tokio::spawn(closed(client))).collect();
    tokio::task::yield_now().await;
    let since = server.revoke();
    let mut late = Vec::with_capacity(closing.len());
    for closed in closing {
        late.push(closed.await.expect("a close frame with 1008").saturating_duration_since(since));
    }
    late
}

async fn closed(mut client: TcpStream) -> Instant {
    let mut frame = [0; 4];
    timeout(Duration::from_secs(30), client.read_exact(&mut frame)).await.expect("in time").expect("a frame");
    let closed = Instant::now();
    assert!(frame[0] == 0x88 && frame[2..] == 1008_u16.to_be_bytes(), "{frame:?}");
    closed
}

fn serve(framework: &str, has_guard: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (guard, keys, id, key) = runtime.block_on(guard());
    let guard = has_guard.then_some(guard);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    println!("{}\n{key}", listener.local_addr().expect("an address"));
    match framework {
        "axum" => runtime.block_on(async {
            tokio::spawn(revoke_when_told(keys, id));
            serve_axum(guard, TcpListener::from_std(listener).expect("a listener")).await;
        }),
        "warp" => runtime.block_on(async {
            tokio::spawn(revoke_when_told(keys, id));
            serve_warp(guard, TcpListener::from_std(listener).expect("a listener")).await;
        }),
        _ => actix_web::rt::System::new().block_on(async {
            actix_web::rt::spawn(revoke_when_told(keys, id));
            serve_actix(guard, listener).await;
        }),
    }
}

async fn guard() -> (Guard, Keys, KeyId, String) {
    let store = MemoryStore::new();
    let keys = Keys::new(store.clone());
    let made = keys.create(NewKey::named("bench")).await.expect("a key");
    let guard = Guard::builder(Policy::builder().build().expect("a policy")).store(store).build().expect("a guard");
    (guard, keys, made.record().id, made.secret().expose().to_owned())
}

async fn revoke_when_told(keys: Keys, id: KeyId) {
    let told = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    told.await.expect("a thread").expect("a line");
    keys.revoke(&id).await.expect("revoked");
    println!("revoked");
}

async fn serve_axum(guard: Option<Guard>, listener: TcpListener) {
    let app = match guard {
        Some(guard) => keyward_axum::guarded(Router::new().route("/ws", get(guarded)), guard),
        None => Router::new().route("/ws", get(bare)),
    };
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.expect("served");
}

async fn guarded(live: keyward_axum::LiveSocket, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|socket| live.run(socket, async |mut socket: HeldSocket| while let Some(Ok(_)) = socket.recv().await {}))
}

async fn bare(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| while let Some(Ok(_)) = socket.recv().await {})
}

async fn serve_warp(guard: Option<Guard>, listener: TcpListener) {
    use futures_util::StreamExt as _;
    match guard {
        Some(guard) => {
            let routes = warp::path("ws").and(keyward_warp::live_socket()).and(warp::ws()).map(
                |live: keyward_warp::LiveSocket, handshake: warp::ws::Ws| {
                    handshake.on_upgrade(|socket| {
                        live.run(
                            socket,
                            async |mut socket: keyward_warp::HeldSocket| {
                                while let Some(Ok(_)) = socket.recv().await {}
                            },
                        )
                    })
                },
            );
            keyward_warp::serve(guard, routes).incoming(listener).run().await;
        }
        None => {
            let routes = warp::path("ws").and(warp::ws()).map(|handshake: warp::ws::Ws| {
                handshake.on_upgrade(async |mut socket| while let Some(Ok(_)) = socket.next().await {})
            });
            warp::serve(routes).incoming(listener).run().await;
        }
    }
}

async fn serve_actix(guard: Option<Guard>, listener: std::net::TcpListener) {
    let server = match guard {
        Some(guard) => HttpServer::new(move || {
            App::new().route("/ws", web::get().to(guarded_by_actix)).wrap(keyward_actix::guard(guard.clone()))
        })
        .on_connect(keyward_actix::on_connect)
        .workers(1)
        .listen(listener)
        .expect("a listener")
        .run(),
        None => HttpServer::new(|| App::new().route("/ws", web::get().to(bare_actix)))
            .workers(1)
            .listen(listener)
            .expect("a listener")
            .run(),
    };
    server.await.expect("served");
}

async fn guarded_by_actix(
    live: keyward_actix::LiveSocket,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let (answer, session, messages) = actix_ws::handle(&request, body)?;
    actix_web::rt::spawn(live.run(
        session,
        messages,
        async |_session, mut messages: actix_ws::MessageStream| {
            while let Some(Ok(_)) = messages.recv().await {}
        },
    ));
    Ok(answer)
}

async fn bare_actix(request: HttpRequest, body: web::Payload) -> Result<HttpResponse, actix_web::Error> {
    let (answer, session, mut messages) = actix_ws::handle(&request, body)?;
    actix_web::rt::spawn(async move {
        while let Some(Ok(_)) = messages.recv().await {}
        let _ = session.close(None).await;
    });
    Ok(answer)
}
