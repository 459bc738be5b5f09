//! Running examples for Keyward, one binary each, and what several of them need.

pub mod failure;
pub mod first_key;

/// Until somebody stops the program: at a terminal, or as a service manager does.
pub async fn asked_to_stop() {
    let interrupt = async { drop(tokio::signal::ctrl_c().await) };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}

/// The programs on the pages of the documentation are compiled, and run where they can be.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../docs/accounts.md")]
    struct Accounts;
    #[doc = include_str!("../../docs/actix.md")]
    struct Actix;
    #[doc = include_str!("../../docs/axum.md")]
    struct Axum;
    #[doc = include_str!("../../docs/core.md")]
    struct Core;
    #[doc = include_str!("../../docs/policy.md")]
    struct Policy;
    #[doc = include_str!("../../docs/redis.md")]
    struct Redis;
    #[doc = include_str!("../../docs/storage.md")]
    struct Storage;
    #[doc = include_str!("../../docs/tower.md")]
    struct Tower;
    #[doc = include_str!("../../docs/warp.md")]
    struct Warp;
    #[doc = include_str!("../../docs/websockets.md")]
    struct WebSockets;
    #[doc = include_str!("../../docs/your-own-adapter.md")]
    struct YourOwnAdapter;
    #[doc = include_str!("../../docs/your-own-store.md")]
    struct YourOwnStore;
}
