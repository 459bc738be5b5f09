//! One harness for each adapter of this repository.

mod actix;
mod axum;
mod hyper;
mod warp;

use crate::harness::Adapter;

/// Every adapter of this repository.
pub fn all() -> Vec<Adapter> {
    vec![
        Adapter::of::<actix::ActixHarness>(),
        Adapter::of::<axum::AxumHarness>(),
        Adapter::of::<hyper::HyperHarness>(),
        Adapter::of::<warp::WarpHarness>(),
    ]
}
