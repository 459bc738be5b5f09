//! The adapters that are served by hyper: plain tower, axum and warp.

use std::convert::Infallible;

use ::axum::{Extension, Router, body::Body, extract::Request, response::Response};
use ::hyper::{body::Incoming, server::conn::http1};
use ::warp::{Filter as _, Reply as _};
use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::Full;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use keyward::{Guard, Pass};
use tower::{Layer as _, Service};

use super::{Serve, wire};
use crate::conformance::{Conformance, Seen};

/// keyward-tower around a plain service.
pub(super) fn tower(guard: Guard, conformance: Conformance) -> Serve {
    let handler = ::tower::service_fn(move |request: http::Request<Incoming>| {
        let pass = request.extensions().get::<Pass>().expect("the layer lets nothing through without a pass");
        let answer = conformance.answer(pass, Seen::of(&request)).map(|text| Full::new(Bytes::from(text)));
        async { Ok::<_, Infallible>(answer) }
    });
    serving(keyward_tower::guard(guard).layer(handler))
}

/// keyward-axum around a router.
pub(super) fn axum(guard: Guard, conformance: Conformance) -> Serve {
    let handler = move |Extension(pass): Extension<Pass>, request: Request| {
        let answer: Response = conformance.answer(&pass, Seen::of(&request)).map(Body::from);
        async { answer }
    };
    serving(keyward_axum::guarded(Router::new().fallback(handler), guard))
}

/// keyward-warp around filters.
pub(super) fn warp(guard: Guard, conformance: Conformance) -> Serve {
    let query = ::warp::query::raw().map(Some).or(::warp::any().map(|| None)).unify();
    let head = ::warp::method().and(::warp::path::full()).and(query).and(::warp::header::headers_cloned());
    let routes = ::warp::ext::get::<Pass>().and(head).map(
        move |pass: Pass, method: Method, path: ::warp::path::FullPath, query: Option<String>, headers: HeaderMap| {
            let seen = Seen {
                method: method.to_string(),
                path: path.as_str().to_owned(),
                query,
                headers: headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
                copies: Vec::new(),
            };
            conformance.answer(&pass, seen).into_response()
        },
    );
    serving(keyward_warp::service(guard, routes))
}

fn serving<S, B>(service: S) -> Serve
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Clone
        + 'static,
    B: http_body_util::BodyExt<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
{
    let service = TowerToHyperService::new(service);
    Box::new(move |sent| {
        let service = service.clone();
        wire::serve(sent, |wire| http1::Builder::new().serve_connection(TokioIo::new(wire), service))
    })
}
