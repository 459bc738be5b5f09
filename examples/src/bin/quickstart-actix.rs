//! The quick start on actix-web: one key, one guarded route.

use actix_web::{App, HttpServer, web};
use keyward::{Guard, Keys, MemoryStore, NewKey, Policy};
use keyward_actix::Authenticated;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new();
    let key = Keys::new(store.clone()).create(NewKey::named("me")).await?;
    let guard = Guard::builder(Policy::builder().build()?).store(store).build()?;

    let app = move || {
        App::new()
            .route("/reports", web::get().to(async |who: Authenticated| format!("hello, {}\n", who.name())))
            .wrap(keyward_actix::guard(guard.clone())) // around all of it: every route, and what has none
    };

    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let server = HttpServer::new(app).bind(format!("127.0.0.1:{port}"))?;
    let address = server.addrs()[0];
    eprintln!("curl -H 'Authorization: Bearer {}' http://{address}/reports", key.secret().expose());
    server.run().await?;
    Ok(())
}
