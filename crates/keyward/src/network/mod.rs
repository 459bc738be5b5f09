//! Addresses: who the client is (R2), and from where a request is taken (R4, R8.1).

mod client;
mod forwarded;
mod list;
mod unnamed;

pub(crate) use client::{Client, ClientHeader, TrustedProxies, bucket, network};
pub(crate) use list::parse_network;
pub use list::{AddressList, BadNetwork};
pub(crate) use unnamed::UnnamedClients;
