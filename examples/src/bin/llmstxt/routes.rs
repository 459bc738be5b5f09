//! The routes.

use http::{HeaderValue, Response, StatusCode, header};
use keyward_warp::{LiveSocket, live_socket};
use warp::path::{Tail, tail};
use warp::reject::MethodNotAllowed;
use warp::ws::Ws;
use warp::{Filter, Rejection, Reply, get, path, post};

use crate::site::Site;
use crate::{demo, socket};

/// A client's first message is a line of JSON.
const LONGEST_MESSAGE: usize = 4096;

pub(crate) fn routes(site: Site) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
    let health = path!("health").and(get()).map(|| json(StatusCode::OK, r#"{"status":"ok"}"#));
    // The guard has judged the key by now; this makes a token of it.
    let token = path!("auth" / "token").and(post()).and(keyward_warp::ticket());
    // And here the token, or the key.
    let crawl =
        path!("ws" / "crawl").and(get()).and(live_socket()).and(warp::ws()).map(move |live: LiveSocket, handshake: Ws| {
            let site = site.clone();
            let handshake = handshake.max_message_size(LONGEST_MESSAGE).max_frame_size(LONGEST_MESSAGE);
            handshake.on_upgrade(|socket| live.run(socket, |socket| socket::talk(site, socket)))
        });
    let demo = warp::path("demo").and(get()).and(tail()).map(|below: Tail| demo::answer(below.as_str()));
    health.or(token).or(crawl).or(demo).recover(rejected)
}

fn json(status: StatusCode, text: &'static str) -> Response<&'static str> {
    let mut answer = Response::new(text);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// warp's own rejections. The guard's go on to the server, which answers them.
async fn rejected(rejection: Rejection) -> Result<impl Reply, Rejection> {
    if rejection.is_not_found() {
        return Ok(json(StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#));
    }
    if rejection.find::<MethodNotAllowed>().is_some() {
        return Ok(json(StatusCode::METHOD_NOT_ALLOWED, r#"{"detail":"Method Not Allowed"}"#));
    }
    if rejection.find::<keyward_warp::Denied>().is_none() {
        // What is left is a request for the socket that is no handshake.
        return Ok(json(StatusCode::BAD_REQUEST, r#"{"detail":"This is a WebSocket: send its handshake"}"#));
    }
    Err(rejection)
}
