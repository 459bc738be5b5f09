//! A service with a dashboard, over real sockets and a real database: what `keyward serve` is made of, with registration open and a
//! clock that the test moves.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::{get, post};
use keyward::clock::ManualClock;
use keyward::{Guard, Keys, NewKey, Policy};
use keyward_admin::{Admin, Registration};
use keyward_sql::SqliteStore;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Of each request: method, target, and what browsers tell of the page before.
pub(crate) type Heads = Arc<Mutex<Vec<String>>>;

/// Ends with the test.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    /// Another server, on which `POST /advance/SECONDS` lets time pass.
    pub(crate) clock: SocketAddr,
    /// The key that makes the first account.
    pub(crate) first_key: String,
    pub(crate) heads: Heads,
    _runtime: Runtime,
    _folder: TempDir,
}

impl Site {
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::at("2027-03-14T09:26:53Z".parse().unwrap());
        let heads = Heads::default();
        let (address, first_key, beside) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let store = SqliteStore::open(folder.path().join("keyward.db")).await.unwrap();
            let keys = Keys::new(store.clone()).clock(clock.clone());
            let first = keys.create(NewKey::named("first").scope("keys:manage").unwrap()).await.unwrap();
            let app = application(keys, store, address, &clock).layer(from_fn_with_state(heads.clone(), note));
            let app = app.into_make_service_with_connect_info::<SocketAddr>();
            tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let beside = listener.local_addr().unwrap();
            let advancing = Router::new().route("/advance/{seconds}", post(advance)).with_state(clock);
            tokio::spawn(async { axum::serve(listener, advancing).await.unwrap() });
            (address, first.secret().expose().to_owned(), beside)
        });
        Self { address, clock: beside, first_key, heads, _runtime: runtime, _folder: folder }
    }
}

/// A route of the application's own, and the dashboard beside it.
fn application(keys: Keys, store: SqliteStore, address: SocketAddr, clock: &ManualClock) -> Router {
    let policy = format!(
        "[access]\npublic_url = \"http://{address}\"\n[limits]\nper_key = [\"60/minute\", \"5000/day\"]\nper_owner = [\"9000/day\"]\n"
    );
    let policy = Policy::from_toml("policy.toml", &policy).unwrap();
    let guard = keys.guarding(Guard::builder(policy.clone())).clock(clock.clone()).build().unwrap();
    let admin = Admin::builder(keys, store).policy(policy).sharing(&guard).clock(clock.clone()).registration(Registration::Open);
    let admin = admin.build().unwrap();
    let reports = Router::new().route("/reports", get(|| async { "all is well" }));
    keyward_axum::guarded(reports, guard).merge(keyward_axum::admin(admin))
}

async fn note(State(heads): State<Heads>, request: Request, next: Next) -> axum::response::Response {
    heads.lock().unwrap().push(told(&request));
    next.run(request).await
}

fn told(request: &Request) -> String {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
    format!("{} {} referer {} origin {}", request.method(), request.uri(), header("referer"), header("origin"))
}

async fn advance(State(clock): State<ManualClock>, Path(seconds): Path<u64>) {
    clock.advance(Duration::from_secs(seconds));
}
