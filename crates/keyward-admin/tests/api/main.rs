//! The API at its boundary: a request in, a response out, over what is kept in memory and a clock that stands still.

mod agent_keys;
mod attacks;
mod client;
mod cross_tenant;
mod journey;
mod secrets;
