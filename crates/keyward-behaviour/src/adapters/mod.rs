//! One harness an adapter.

pub mod axum;
pub mod hyper;
