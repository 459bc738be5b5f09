//! The API at its boundary: a request in, a response out, over what is kept in memory and a clock that stands still.

mod agent_keys;
mod attacks;
mod audit;
mod client;
mod cost_of_registering;
mod cross_tenant;
mod dashboard_routes;
mod journey;
mod limits_of_accounts;
mod secrets;
mod shapes;
