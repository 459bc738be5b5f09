//! Accounts, sessions and the management of keys, as routes.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use http::StatusCode;
use keyward::Peer;
use keyward_admin::Admin;
use keyward_tower::Framework;

use crate::Axum;

/// The routes of an [`Admin`]: `app.merge(keyward_axum::admin(admin))`.
///
/// They have a guard of their own, so that they go beside the guarded routes and not among them: merge them into what
/// [`guarded`](crate::guarded) returns. Serve with the peers' addresses (`into_make_service_with_connect_info::<SocketAddr>()`):
/// guesses at passwords are counted by them.
///
/// ```
/// use axum::{Router, routing::get};
/// use keyward::{Guard, Keys, MemoryStore, Policy, account::MemoryAccounts};
/// use keyward_admin::Admin;
///
/// # fn app() -> Result<Router, Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let policy = Policy::builder().public_url("https://api.example.com").build()?;
/// let admin = Admin::builder(Keys::new(store.clone()), MemoryAccounts::new()).policy(policy.clone()).build()?;
/// let guard = Guard::builder(policy).store(store).authenticator(admin.sessions()).build()?;
/// let app = keyward_axum::guarded(Router::new().route("/reports", get(|| async { "all is well" })), guard);
/// # Ok(
/// app.merge(keyward_axum::admin(admin))
/// # )
/// # }
/// ```
pub fn admin(admin: Admin) -> Router {
    Admin::PLACES
        .iter()
        .fold(Router::new(), |router, place| router.route(place, any(answer)).route(&format!("{place}/{{*rest}}"), any(answer)))
        .with_state(admin)
}

async fn answer(State(admin): State<Admin>, request: Request) -> Response {
    let peer = Axum::peer(request.extensions());
    let (mut head, body) = request.into_parts();
    // The path that the client sent is the one that is judged.
    if let Some(original) = Axum::original_uri(&head.extensions).cloned() {
        head.uri = original;
    }
    head.extensions = http::Extensions::new();
    if let Some(peer) = peer {
        head.extensions.insert(Peer(peer));
    }
    let body = match to_bytes(body, Admin::LARGEST_BODY + 1).await {
        Ok(body) => body,
        // Larger than that, or cut off: read no further. The first is answered as such, and of the second nobody reads the answer.
        Err(_) => Bytes::from(vec![0; Admin::LARGEST_BODY + 1]),
    };
    let mut answer = admin.answer(http::Request::from_parts(head, body)).await;
    if answer.status() == StatusCode::PAYLOAD_TOO_LARGE {
        answer.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    answer.map(Body::from)
}
