//! A token that a form carries, so that a page of another site cannot send it (R13).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The token of one session's forms: derived from the session's own token, so that nothing has to be kept, every process knows it,
/// and another session's is worth nothing.
pub(crate) struct FormToken(String);

impl FormToken {
    /// The field's name.
    pub(crate) const FIELD: &str = "form_token";

    pub(crate) fn of(session_token: &str) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(session_token.as_bytes()).expect("HMAC takes keys of every length");
        mac.update(b"keyward-form-v1");
        Self(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    /// For the hidden field of a form.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for FormToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormToken(hidden)")
    }
}
