//! Running examples for Keyward, one binary each.
