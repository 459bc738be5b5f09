//! Accounts, sessions and the management of keys, beside the routes.

use keyward_admin::Admin;
use keyward_tower::{AdminLayer, AdminService};
use tower_layer::Layer as _;

use crate::server::Server;

/// Answers the paths of an [`Admin`] beside a [`service`](crate::service) of your own server, around the guard:
/// `keyward_warp::admin(admin).layer(keyward_warp::service(guard, routes))`. For [`serve`](crate::serve) there is
/// [`Server::admin`].
pub fn admin(admin: Admin) -> AdminLayer {
    keyward_tower::admin(admin)
}

impl<F> Server<F> {
    /// Answers the paths of an [`Admin`] beside the routes. They have a guard of their own, so that the guard that is served is not
    /// asked about them.
    ///
    /// ```
    /// use keyward::{Guard, Keys, MemoryStore, Policy, account::MemoryAccounts};
    /// use keyward_admin::Admin;
    /// use warp::Filter;
    ///
    /// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MemoryStore::new();
    /// let policy = Policy::builder().public_url("https://api.example.com").build()?;
    /// let admin = Admin::builder(Keys::new(store.clone()), MemoryAccounts::new()).policy(policy.clone()).build()?;
    /// let guard = Guard::builder(policy).store(store).authenticator(admin.sessions()).build()?;
    /// let routes = warp::path!("reports").and(warp::get()).map(|| "all is well");
    /// keyward_warp::serve(guard, routes).admin(admin).run(([127, 0, 0, 1], 8080)).await;
    /// # Ok(()) }
    /// ```
    pub fn admin(mut self, admin: Admin) -> Self {
        self.beside = Beside(Some(admin));
        self
    }
}

/// What is answered beside the routes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside(Option<Admin>);

impl Beside {
    pub(crate) fn around<S>(self, service: S) -> AdminService<S> {
        AdminLayer::new(self.0).layer(service)
    }
}
