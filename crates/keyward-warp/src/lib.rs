//! Keyward for warp.
