//! actix-web, behind its own middleware.

use std::{io, net::TcpListener};

use actix_web::{
    App, Error, HttpRequest, HttpResponse, HttpServer,
    body::BoxBody,
    dev::{Server, Service as _, ServiceRequest, ServiceResponse, Transform as _},
    error::ErrorInternalServerError,
    http::{Method, StatusCode},
    middleware::{Next, from_fn},
    rt, web,
};
use actix_ws::{Message, MessageStream, Session};
use keyward::{Guard, Pass};
use keyward_actix::{Authenticated, LiveSocket};
use keyward_admin::Admin;

use crate::{
    conformance::{Conformance, Seen},
    harness::{Harness, Running, StartRouter},
    model::request::ModelRequest,
};

/// Serves with actix-web and `keyward-actix`.
pub(super) struct ActixHarness;

impl Harness for ActixHarness {
    const NAME: &'static str = "actix";
    // actix-http (3.20) frames an answer by the method of the last request that it has read, not of the one that it answers; and
    // it reads on behind a body that nobody wants, only to end the connection.
    const PIPELINED: fn(&ModelRequest) -> bool = |request| request.method != "HEAD" && !request.announces_body();
    const ROUTER: Option<StartRouter> = Some(route);

    fn start(conformance: Conformance, listener: TcpListener) -> io::Result<Running> {
        let app = move || {
            App::new()
                .app_data(web::Data::new(conformance.clone()))
                .wrap(from_fn(guarded))
                .route("/ws/{rest:.*}", web::to(socket))
                .default_service(web::to(answer))
        };
        let address = listener.local_addr()?;
        let server = HttpServer::new(app).workers(1).disable_signals().listen_auto_h2c(listener)?;
        Ok(running(address, server.run()))
    }
}

/// actix-web's server has threads of its own; when it is dropped they end.
fn running(address: std::net::SocketAddr, server: Server) -> Running {
    let serving = tokio::spawn(server);
    Running::new(address, move || serving.abort())
}

async fn guarded(
    conformance: web::Data<Conformance>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (guard, within) = (conformance.guard_for(request.path()), conformance.guard_within(request.path()));
    let Some(guard) = guard.map(keyward_actix::guard) else {
        return Ok(request.into_response(HttpResponse::NotFound()));
    };
    Ok(match within.map(keyward_actix::guard) {
        None => started(guard.new_transform(next).await)?.call(request).await?.map_into_boxed_body(),
        Some(within) => {
            let next = started(within.new_transform(next).await)?;
            started(guard.new_transform(next).await)?.call(request).await?.map_into_boxed_body()
        }
    })
}

fn started<S>(service: Result<S, ()>) -> Result<S, Error> {
    service.map_err(|()| ErrorInternalServerError("the middleware does not start"))
}

async fn answer(
    conformance: web::Data<Conformance>,
    pass: web::ReqData<Pass>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    if request.method() == Method::POST && request.path() == "/auth/token" {
        return Ok(keyward_actix::ticket(request).await?);
    }
    let (parts, body) = conformance.answer(&pass, seen(&request)).into_parts();
    let status = StatusCode::from_u16(parts.status.as_u16()).expect("a status is a status");
    let mut answer = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        answer.append_header((name.as_str(), value.as_bytes()));
    }
    Ok(answer.body(body))
}

async fn socket(
    conformance: web::Data<Conformance>,
    pass: web::ReqData<Pass>,
    live: LiveSocket,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Error> {
    let seen = seen(&request);
    let chosen = seen.subprotocol();
    let first = conformance.told(&pass, seen);
    let chosen: Vec<&str> = chosen.iter().map(String::as_str).collect();
    let (answer, session, messages) = actix_ws::handle_with_protocols(&request, body, &chosen)?;
    rt::spawn(live.run(session, messages, async |session, messages| echo(session, messages, first).await));
    Ok(answer)
}

async fn echo(mut session: Session, mut messages: MessageStream, first: String) {
    let mut next = Message::Text(first.into());
    loop {
        let sent = match next {
            Message::Text(text) => session.text(text).await,
            Message::Binary(bytes) => session.binary(bytes).await,
            _ => return,
        };
        next = match (sent, messages.recv().await) {
            (Ok(()), Some(Ok(message))) => message,
            _ => return,
        };
    }
}

fn seen(request: &HttpRequest) -> Seen {
    Seen {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers: request.headers().iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
        copies: vec![request.match_info().get_ref().uri().to_string()],
    }
}

fn route(guard: Guard, listener: TcpListener) -> io::Result<Running> {
    let app = move || {
        let api =
            web::scope("/api").route("/reports", web::to(async || "reports")).route("/reports/{id}", web::to(async || "report"));
        let nested = web::scope("/nested").wrap(keyward_actix::guard(guard.clone()));
        let all_else = web::scope("")
            .wrap(keyward_actix::guard(guard.clone()))
            .service(api)
            .route("/healthz", web::get().to(async || "healthz"))
            .route("/docs/{rest:.*}", web::to(async || "docs"));
        App::new().service(nested.route("/reports", web::to(async || "nested"))).service(all_else)
    };
    let address = listener.local_addr()?;
    let server = HttpServer::new(app).workers(1).disable_signals().listen_auto_h2c(listener)?;
    Ok(running(address, server.run()))
}

pub(super) fn mount(admin: Admin, guard: Guard, listener: TcpListener) -> io::Result<Running> {
    let app = move || {
        App::new()
            .route("/reports", web::get().to(async |who: Authenticated| who.name().to_owned()))
            .wrap(keyward_actix::guard(guard.clone()))
            .wrap(keyward_actix::admin(admin.clone()))
    };
    let address = listener.local_addr()?;
    let server = HttpServer::new(app).workers(1).disable_signals().listen_auto_h2c(listener)?;
    Ok(running(address, server.run()))
}
