//! Keyward for actix.
