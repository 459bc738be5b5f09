//! Keyward for tower.
