//! What requests carry. They are read field by field, so that every fault can be told at once; these types say so in the document,
//! and a test holds them against the fields that are read.

#![expect(dead_code, reason = "they are described, and never made")]

use std::collections::BTreeMap;

use keyward::Timestamp;
use utoipa::ToSchema;

/// A new key.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// What the key is for.
    #[schema(pattern = r"\S")]
    name: String,
    /// A label that routes may demand; for administrators alone.
    kind: Option<String>,
    #[schema(inline)]
    scopes: Option<Scopes>,
    /// Not accepted before.
    not_before: Option<Timestamp>,
    /// Not accepted from then on.
    expires_at: Option<Timestamp>,
    /// The same as a span, instead.
    #[schema(minimum = 1, maximum = 36_525)]
    expires_in_days: Option<u32>,
    #[schema(inline)]
    allowed_ips: Option<Networks>,
    #[schema(inline)]
    resource_pattern: Option<ResourcePattern>,
    #[schema(inline)]
    limits: Option<Quotas>,
    /// Whatever else is kept with it: 64 entries, 16 KiB together.
    metadata: Option<BTreeMap<String, String>>,
    #[schema(inline)]
    prefix: Option<Prefix>,
}

/// A new key of an agent.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAgentKey {
    /// What the key is for.
    #[schema(pattern = r"\S")]
    name: String,
    /// The application that the agent works for.
    #[schema(pattern = r"\S")]
    app: String,
    /// The agent that uses the key.
    #[schema(pattern = r"\S")]
    agent: String,
    #[schema(inline)]
    scopes: Option<Scopes>,
    /// Not accepted before.
    not_before: Option<Timestamp>,
    /// Not accepted from then on.
    expires_at: Option<Timestamp>,
    /// The same as a span, instead.
    #[schema(minimum = 1, maximum = 876_600)]
    expires_in_hours: Option<u32>,
    #[schema(inline)]
    allowed_ips: Option<Networks>,
    #[schema(inline)]
    resource_pattern: Option<ResourcePattern>,
    #[schema(inline)]
    limits: Option<Quotas>,
    /// Whatever else is kept with it: 62 entries, 16 KiB together.
    metadata: Option<BTreeMap<String, String>>,
    #[schema(inline)]
    prefix: Option<Prefix>,
}

/// Changes of a key.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyChange {
    /// What the key is for.
    #[schema(pattern = r"\S", nullable = false)]
    name: Option<String>,
    /// A label that routes may demand; for administrators alone.
    kind: Option<String>,
    #[schema(inline)]
    scopes: Option<Scopes>,
    /// Not accepted before.
    not_before: Option<Timestamp>,
    /// Not accepted from then on.
    expires_at: Option<Timestamp>,
    #[schema(inline)]
    allowed_ips: Option<Networks>,
    #[schema(inline)]
    resource_pattern: Option<ResourcePattern>,
    #[schema(inline)]
    limits: Option<Quotas>,
    /// Whatever else is kept with it, anew.
    metadata: Option<BTreeMap<String, String>>,
    /// Switched off for a while.
    #[schema(nullable = false)]
    disabled: Option<bool>,
}

/// Changes of an agent's key.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentKeyChange {
    /// What the key is for.
    #[schema(pattern = r"\S", nullable = false)]
    name: Option<String>,
    /// The application that the agent works for.
    #[schema(pattern = r"\S", nullable = false)]
    app: Option<String>,
    /// The agent that uses the key.
    #[schema(pattern = r"\S", nullable = false)]
    agent: Option<String>,
    #[schema(inline)]
    scopes: Option<Scopes>,
    /// Not accepted before.
    not_before: Option<Timestamp>,
    /// Not accepted from then on.
    expires_at: Option<Timestamp>,
    #[schema(inline)]
    allowed_ips: Option<Networks>,
    #[schema(inline)]
    resource_pattern: Option<ResourcePattern>,
    #[schema(inline)]
    limits: Option<Quotas>,
    /// Whatever else is kept with it, anew.
    metadata: Option<BTreeMap<String, String>>,
    /// Switched off for a while.
    #[schema(nullable = false)]
    disabled: Option<bool>,
}

/// What it may do: scopes that the caller holds.
#[derive(ToSchema)]
#[schema(max_items = 256)]
struct Scopes(Vec<Scope>);

#[derive(ToSchema)]
#[schema(pattern = r#"^[!#-)+-9;-\[\]-~]+(:[!#-)+-9;-\[\]-~]+)*(:\*)?$"#, max_length = 256, example = "reports:read")]
struct Scope(String);

/// Accepted only from these networks.
#[derive(ToSchema)]
#[schema(min_items = 1, max_items = 256, example = json!(["192.0.2.0/24"]))]
struct Networks(Vec<String>);

/// Accepted only for this path, or with a `*` at its end for what is below it.
#[derive(ToSchema)]
#[schema(pattern = "^/", example = "/apps/7/*")]
struct ResourcePattern(String);

/// Quotas of its own, instead of the policy's; for administrators alone.
#[derive(ToSchema)]
#[schema(min_items = 1, max_items = 16, example = json!(["100/hour"]))]
struct Quotas(Vec<String>);

/// What the key begins with.
#[derive(ToSchema)]
#[schema(pattern = "^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length = 32, example = "acme_live")]
struct Prefix(String);

/// How a key gets a new secret.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// How long the secret in use goes on.
    #[schema(minimum = 0, maximum = 3_155_760_000_u64, default = 0)]
    grace_seconds: Option<u64>,
}

/// Somebody who signs up.
#[derive(ToSchema)]
pub(super) struct Registration {
    #[schema(
        pattern = r"^[!#-'*+./-9=?A-Z^-~-]+@[!#-'*+/-9=?A-Z^-~-]([!#-'*+./-9=?A-Z^-~-]*[!#-'*+/-9=?A-Z^-~-])?$",
        max_length = 254,
        example = "ada@example.com"
    )]
    email: String,
    #[schema(format = Password, max_length = 256)]
    password: String,
    /// The same again, where it was typed.
    #[schema(format = Password, nullable = false)]
    confirm_password: Option<String>,
    #[schema(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$", max_length = 100, nullable = false)]
    first_name: Option<String>,
    #[schema(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$", max_length = 100, nullable = false)]
    last_name: Option<String>,
    /// Others are not read.
    #[serde(flatten)]
    others: BTreeMap<String, String>,
}

/// Somebody who signs in.
#[derive(ToSchema)]
pub(super) struct SignIn {
    email: String,
    #[schema(format = Password)]
    password: String,
    /// Where to lead to afterwards: a path of this site.
    #[schema(nullable = false)]
    next: Option<String>,
    /// Others are not read.
    #[serde(flatten)]
    others: BTreeMap<String, String>,
}

/// An account that an administrator makes.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAccount {
    #[schema(
        pattern = r"^[!#-'*+./-9=?A-Z^-~-]+@[!#-'*+/-9=?A-Z^-~-]([!#-'*+./-9=?A-Z^-~-]*[!#-'*+/-9=?A-Z^-~-])?$",
        max_length = 254,
        example = "ada@example.com"
    )]
    email: String,
    #[schema(format = Password, max_length = 256)]
    password: String,
    #[schema(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$", max_length = 100, nullable = false)]
    first_name: Option<String>,
    #[schema(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$", max_length = 100, nullable = false)]
    last_name: Option<String>,
}

/// What an administrator changes of an account.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountChange {
    #[schema(nullable = false)]
    is_admin: Option<bool>,
    /// Switched off.
    #[schema(nullable = false)]
    disabled: Option<bool>,
}

/// Other names.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    #[schema(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$", max_length = 100, nullable = false)]
    first_name: Option<String>,
    #[schema(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$", max_length = 100, nullable = false)]
    last_name: Option<String>,
}

/// Another password.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    #[schema(format = Password)]
    current_password: String,
    #[schema(format = Password, max_length = 256)]
    new_password: String,
}

/// The end of one's own account.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Farewell {
    #[schema(format = Password)]
    password: String,
}
