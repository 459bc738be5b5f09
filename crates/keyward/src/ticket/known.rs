//! Signing secrets that look random and stand in specifications, manuals and tutorials.
//!
//! Only what the other rules let through has to be here. The public lists of tens of thousands that were found in the wild are
//! not: no package with a licence that would allow it has them (0013).

/// Where each is published, and the secret.
const PUBLISHED: &[(&str, &str)] = &[
    ("RFC 7515, A.1", "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
    ("RFC 7520, 3.5", "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"),
    ("the manual of FastAPI", "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"),
    ("the manual of Flask", "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf"),
    ("jwt.io", "a-string-secret-at-least-256-bits-long"),
    ("jwt.io", "a-valid-string-secret-that-is-at-least-384-bits-long"),
    ("jwt.io", "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long"),
    ("tutorials of Spring Boot", "3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b"),
    ("tutorials of Spring Boot", "@NcRfUjXn2r5u8x/A?D(G+KbPdSgVkYp"),
];

/// Whether it is published, in any case of its letters: as it stands, or as the bytes of which that is the base64url form.
pub(super) fn is_known(secret: &[u8]) -> bool {
    use base64::Engine;
    let encoded = zeroize::Zeroizing::new(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret));
    let is = |written: &[u8], published: &str| written.eq_ignore_ascii_case(published.as_bytes());
    PUBLISHED.iter().any(|(_, published)| is(secret, published) || *encoded == **published)
}
