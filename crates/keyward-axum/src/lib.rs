//! Keyward for axum.
