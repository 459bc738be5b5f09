//! The fields that JSON about accounts may have.

/// Of a new account.
pub(crate) const NEW: [&str; 4] = ["email", "password", "first_name", "last_name"];
/// Of what administrators change.
pub(crate) const CHANGE: [&str; 2] = ["is_admin", "disabled"];
/// Of another name.
pub(crate) const NAMES: [&str; 2] = ["first_name", "last_name"];
/// Of another password.
pub(crate) const PASSWORDS: [&str; 2] = ["current_password", "new_password"];
/// Of the end of one's own account.
pub(crate) const FAREWELL: [&str; 1] = ["password"];
