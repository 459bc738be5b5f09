//! actix-web, by `keyward-actix`.

use std::io;
use std::net::TcpListener;

use actix_web::http::{StatusCode, header};
use actix_web::{App, HttpResponse, HttpServer, web};
use keyward::Guard;
use keyward_actix::Authenticated;

use crate::answers::{ALLOWED, BY_COOKIE, BY_HEADER, BY_QUERY, DATA, JSON, METHOD_NOT_ALLOWED, NOT_FOUND};

pub(crate) async fn serve(guard: Guard, listener: TcpListener) -> io::Result<()> {
    let app = move || {
        let routes = web::resource([BY_HEADER, BY_COOKIE, BY_QUERY])
            .route(web::get().to(data))
            .route(web::head().to(data))
            .default_service(web::to(method_not_allowed));
        App::new().wrap(keyward_actix::guard(guard.clone())).service(routes).default_service(web::to(not_found))
    };
    HttpServer::new(app).listen_auto_h2c(listener)?.run().await
}

async fn data(_: Authenticated) -> HttpResponse {
    HttpResponse::Ok().content_type(JSON).body(DATA)
}

async fn method_not_allowed() -> HttpResponse {
    let mut answer = HttpResponse::build(StatusCode::METHOD_NOT_ALLOWED);
    answer.content_type(JSON).insert_header((header::ALLOW, ALLOWED)).body(METHOD_NOT_ALLOWED)
}

async fn not_found() -> HttpResponse {
    HttpResponse::NotFound().content_type(JSON).body(NOT_FOUND)
}
