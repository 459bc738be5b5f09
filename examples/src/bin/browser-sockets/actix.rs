//! actix-web, by `keyward-actix`.

use std::io;
use std::net::TcpListener;

use actix_web::http::header;
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, rt, web};
use actix_ws::{Message, MessageStream, Session};
use keyward::Keys;
use keyward_actix::{Authenticated, LiveSocket};

use crate::{CHAT, PAGE, Service, cookie, greeting};

pub(crate) async fn serve(service: Service, listener: TcpListener) -> io::Result<()> {
    let app = move || {
        App::new()
            .app_data(web::Data::new(service.keys.clone()))
            .route("/", web::get().to(async || HttpResponse::Ok().content_type("text/html; charset=utf-8").body(PAGE)))
            .route("/cookie", web::post().to(set_cookie))
            .route("/auth/token", web::post().to(keyward_actix::ticket))
            .route("/socket", web::get().to(open))
            .route("/key", web::delete().to(revoke))
            .wrap(keyward_actix::guard(service.guard.clone()))
    };
    HttpServer::new(app).workers(2).on_connect(keyward_actix::on_connect).listen(listener)?.run().await
}

async fn open(who: Authenticated, live: LiveSocket, request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Error> {
    let (answer, session, messages) = actix_ws::handle_with_protocols(&request, body, &[CHAT])?;
    rt::spawn(live.run(session, messages, async move |session, messages| talk(who, session, messages).await));
    Ok(answer)
}

async fn talk(who: Authenticated, mut session: Session, mut messages: MessageStream) {
    let mut sent = session.text(greeting(&who)).await;
    while let (Ok(()), Some(Ok(message))) = (&sent, messages.recv().await) {
        sent = match message {
            Message::Text(text) => session.text(text).await,
            Message::Binary(bytes) => session.binary(bytes).await,
            Message::Ping(bytes) => session.pong(&bytes).await,
            Message::Close(reason) => {
                // Says the client's code back to it; a failure is that it has gone.
                let _ = session.close(reason).await;
                return;
            }
            _ => Ok(()),
        };
    }
}

async fn set_cookie(key: web::Bytes) -> HttpResponse {
    match cookie(&key) {
        Some(cookie) => HttpResponse::NoContent().insert_header((header::SET_COOKIE, cookie)).finish(),
        None => HttpResponse::BadRequest().finish(),
    }
}

async fn revoke(keys: web::Data<Keys>, who: Authenticated) -> HttpResponse {
    match who.key_id() {
        Some(id) if keys.revoke(&id).await.is_ok() => HttpResponse::NoContent().finish(),
        _ => HttpResponse::ServiceUnavailable().finish(),
    }
}
