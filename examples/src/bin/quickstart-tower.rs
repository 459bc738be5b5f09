//! The quick start on plain hyper: one key, one guarded service.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use keyward::{Guard, Keys, MemoryStore, NewKey, Pass, Peer, Policy};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new();
    let key = Keys::new(store.clone()).create(NewKey::named("me")).await?;
    let guard = Guard::builder(Policy::builder().build()?).store(store).build()?;

    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    eprintln!("curl -H 'Authorization: Bearer {}' http://{address}/reports", key.secret().expose());
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await; // no file descriptor left, maybe
            continue;
        };
        let service = ServiceBuilder::new()
            .map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(Peer(peer.ip()));
                request
            })
            .layer(keyward_tower::guard(guard.clone())) // around all that the service does
            .service(service_fn(hello));
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await;
        });
    }
}

async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let who = request.extensions().get::<Pass>().and_then(Pass::principal);
    Ok(Response::new(format!("hello, {}\n", who.map_or("nobody", |who| who.name()))))
}
