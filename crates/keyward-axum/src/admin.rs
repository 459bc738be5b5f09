//! Accounts, sessions and the management of keys, as routes.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use keyward_admin::Admin;

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
    let at = |router: Router<Admin>, path: &str| router.route(path, any(answer));
    Admin::PLACES
        .iter()
        .fold(Router::new(), |router, place| {
            // The last does not match nothing.
            [place.to_string(), format!("{place}/"), format!("{place}/{{*rest}}")]
                .iter()
                .fold(router, |router, path| at(router, path))
        })
        .with_state(admin)
}

async fn answer(State(admin): State<Admin>, request: Request) -> Response {
    keyward_tower::answer_admin::<Axum, Body>(&admin, request).await.map(Body::from)
}
