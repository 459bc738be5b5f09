//! warp, by `keyward-warp`.

use std::io;
use std::net::TcpListener;

use http::{Response, StatusCode, header};
use keyward::Guard;
use keyward_warp::{Authenticated, authenticated};
use warp::reject::MethodNotAllowed;
use warp::{Filter, Rejection, Reply, path};

use crate::answers::{ALLOWED, DATA, JSON, METHOD_NOT_ALLOWED, NOT_FOUND};

pub(crate) async fn serve(guard: Guard, listener: TcpListener) -> io::Result<()> {
    let known = path!("secure-data").or(path!("secure-data" / "cookie")).unify().or(path!("secure-data" / "query")).unify();
    let read = warp::get().or(warp::head()).unify();
    let routes = known.and(read).and(authenticated()).map(|_: Authenticated| json(DATA)).recover(rejected);
    keyward_warp::serve(guard, routes).incoming(tokio::net::TcpListener::from_std(listener)?).run().await;
    Ok(())
}

fn json(text: &'static str) -> impl Reply {
    warp::reply::with_header(Response::new(text), header::CONTENT_TYPE, JSON)
}

/// warp's own rejections. What `authenticated` rejects goes on to the server, which answers it.
async fn rejected(rejection: Rejection) -> Result<warp::reply::Response, Rejection> {
    if rejection.is_not_found() {
        return Ok(warp::reply::with_status(json(NOT_FOUND), StatusCode::NOT_FOUND).into_response());
    }
    if rejection.find::<MethodNotAllowed>().is_some() {
        let answer = warp::reply::with_header(json(METHOD_NOT_ALLOWED), header::ALLOW, ALLOWED);
        return Ok(warp::reply::with_status(answer, StatusCode::METHOD_NOT_ALLOWED).into_response());
    }
    Err(rejection)
}
