//! actix-web, whose own HTTP/1 service takes any stream.

use actix_http::HttpService;
use actix_service::{Service as _, ServiceFactory as _, map_config};
use actix_web::{
    App, HttpRequest, HttpResponse,
    dev::AppConfig,
    http::StatusCode,
    web::{self, ReqData},
};
use keyward::{Guard, Pass};

use super::{
    Serve,
    wire::{self, Wire},
};
use crate::conformance::{Conformance, Seen};

/// keyward-actix around an application.
pub(super) fn actix(guard: Guard, conformance: Conformance) -> Serve {
    let app = App::new().app_data(web::Data::new(conformance)).wrap(keyward_actix::guard(guard)).default_service(web::to(answer));
    let service = wire::run(async {
        let http = HttpService::<Wire, _, _>::build().h1(map_config(app, |_| AppConfig::default()));
        http.new_service(()).await.expect("the application starts")
    });
    Box::new(move |sent| wire::serve(sent, |wire| service.call((wire, None))))
}

async fn answer(conformance: web::Data<Conformance>, pass: ReqData<Pass>, request: HttpRequest) -> HttpResponse {
    let seen = Seen {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers: request.headers().iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
        copies: Vec::new(),
    };
    let (parts, body) = conformance.answer(&pass, seen).into_parts();
    let status = StatusCode::from_u16(parts.status.as_u16()).expect("a status is a status");
    let mut answer = HttpResponse::build(status);
    for (name, value) in &parts.headers {
        answer.append_header((name.as_str(), value.as_bytes()));
    }
    answer.body(body)
}
