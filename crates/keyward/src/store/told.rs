//! What is told about a stored key, by command line, management API and journal alike. Never a digest.

use std::collections::BTreeMap;

use serde::Serialize;

use super::SlotUsage;
use crate::clock::Timestamp;
use crate::key::{Record, Slot, State, StoredSecret};

/// A record, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Key))]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are those of Record")]
pub struct RecordTold {
    pub id: String,
    pub name: String,
    /// What may be shown of the current secret.
    pub key_prefix: String,
    pub kind: Option<String>,
    pub owner: Option<String>,
    pub scopes: Vec<String>,
    pub state: &'static str,
    pub created_at: Timestamp,
    pub not_before: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub disabled: bool,
    pub allowed_ips: Option<Vec<String>>,
    /// For which paths it is accepted.
    pub resource_pattern: Option<String>,
    pub limits: Option<Vec<String>>,
    pub metadata: BTreeMap<String, String>,
    /// When any of its secrets was last used.
    pub last_used_at: Option<Timestamp>,
    /// The secret in use.
    pub current: SlotTold,
    /// The one before it, and until when it is accepted.
    pub previous: Option<SlotTold>,
}

/// One secret of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = KeySecret))]
#[non_exhaustive]
pub struct SlotTold {
    /// What may be shown of it.
    pub key_prefix: String,
    /// How it is stored: `sha256`, `hmac-sha256` with a pepper, or `argon2id`.
    pub stored_as: &'static str,
    /// The version of its pepper; 0 for none.
    pub pepper: u16,
    /// Until when it is accepted, where it is a previous one.
    pub grace_ends_at: Option<Timestamp>,
    /// How it was used, if it was.
    pub usage: Option<UsageTold>,
}

/// How one secret was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = KeyUsage))]
#[non_exhaustive]
pub struct UsageTold {
    /// When last.
    pub last_used_at: Timestamp,
    /// How often.
    pub count: u64,
    /// From which network last.
    pub network: Option<String>,
    /// Where the key stood.
    pub source: Option<&'static str>,
}

impl RecordTold {
    /// What may be told of a record at a time, with the uses of its secrets; those of other keys are passed over.
    pub fn of(record: &Record, now: Timestamp, usage: &[SlotUsage]) -> Self {
        let of_slot = |number: u32| usage.iter().find(|usage| usage.id == record.id && usage.number == number);
        let slot = |slot: &Slot| SlotTold::of(slot, of_slot(slot.number));
        Self {
            id: record.id.to_string(),
            name: record.name.to_string(),
            key_prefix: record.current.prefix.to_string(),
            kind: record.kind.as_deref().map(str::to_owned),
            owner: record.owner.as_deref().map(str::to_owned),
            scopes: record.scopes.iter().map(ToString::to_string).collect(),
            state: State::of(record, now).as_str(),
            created_at: record.created,
            not_before: record.not_before,
            expires_at: record.expires,
            revoked_at: record.revoked_at(),
            disabled: record.disabled,
            allowed_ips: record.networks.as_ref().map(|networks| networks.iter().map(|network| network.to_string()).collect()),
            resource_pattern: record.resource_pattern.as_ref().map(ToString::to_string),
            limits: record.limits.as_ref().map(|limits| limits.iter().map(ToString::to_string).collect()),
            metadata: record.metadata.clone(),
            last_used_at: usage.iter().filter(|usage| usage.id == record.id).map(|usage| usage.last_used).max(),
            current: slot(&record.current),
            previous: record.previous.as_ref().map(slot),
        }
    }
}

impl SlotTold {
    fn of(slot: &Slot, usage: Option<&SlotUsage>) -> Self {
        let (stored_as, pepper) = match &slot.secret {
            StoredSecret::Digest(digest) if digest.pepper() == 0 => ("sha256", 0),
            StoredSecret::Digest(digest) => ("hmac-sha256", digest.pepper()),
            StoredSecret::Argon2(_) => ("argon2id", 0),
        };
        Self {
            key_prefix: slot.prefix.to_string(),
            stored_as,
            pepper,
            grace_ends_at: slot.grace_ends,
            usage: usage.map(|usage| UsageTold {
                last_used_at: usage.last_used,
                count: usage.count,
                network: usage.network.map(|network| format!("{network}/{}", if network.is_ipv4() { 24 } else { 48 })),
                source: usage.source.map(crate::source::SourceKind::as_str),
            }),
        }
    }
}
