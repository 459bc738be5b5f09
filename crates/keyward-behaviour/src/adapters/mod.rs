//! One harness for each adapter of this repository.

mod actix;
mod axum;
mod hyper;
mod warp;

use crate::{harness::Adapter, management::Mount};

/// Every adapter of this repository.
pub fn all() -> Vec<Adapter> {
    vec![
        Adapter::of::<actix::ActixHarness>(),
        Adapter::of::<axum::AxumHarness>(),
        Adapter::of::<hyper::HyperHarness>(),
        Adapter::of::<warp::WarpHarness>(),
    ]
}

/// Every way to mount the management of keys.
pub fn mounts() -> Vec<Mount> {
    vec![
        Mount { name: "actix", start: actix::mount },
        Mount { name: "axum", start: axum::mount },
        Mount { name: "hyper", start: hyper::mount },
        Mount { name: "warp", start: warp::mount },
    ]
}
