//! The command line of `keyward keys`.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use keyward::key::{KeyId, KeyPrefix, State};
use keyward::scope::Scope;

use crate::arguments::Stored;
use crate::time_span::{Span, When};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  KEY=$(keyward keys create --name \"nightly export\" --scope reports:read --expires 90d)
  keyward keys list --owner ada --state live
  keyward keys update ID --expires 30d --scope reports:read
  keyward keys rotate ID --grace 24h
  keyward keys revoke ID

Exit status: 0 done, 1 refused or not found, 2 wrong usage or configuration, 3 a fault of the store. Whoever can write to the
database can run these commands; the database's journal tells each change, by `keyward keys (USER)`.")]
pub(crate) struct Keys {
    #[command(flatten)]
    pub(crate) stored: Stored,
    /// One JSON document on standard output instead of text
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key; it is shown once, alone on standard output
    Create(Create),
    /// List keys
    List(List),
    /// Tell all that is known of one key
    Show(Show),
    /// Change what a key may do, until when and from where, or switch it off or on; its secret stays
    Update(Change),
    /// End keys for ever
    Revoke(Revoke),
    /// Give a key a new secret; the old one is accepted until its grace ends
    Rotate(Rotate),
    /// Take over keys made elsewhere
    Import(Import),
    /// Tell whose a key is and whether it would be accepted now; reads it from standard input
    Verify(Verify),
    /// Remove keys that were revoked long ago
    Purge(Purge),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward keys create --name \"nightly export\" --scope reports:read --owner ada --expires 90d
  keyward keys create --name ci --prefix acme_ci --allow-ip 10.0.0.0/8 --limit 100/hour --limit 1000/day
  KEY=$(keyward keys create --name ci --expires 2030-01-01T00:00:00Z)

The key is written to standard output, everything else to standard error. It cannot be read again: only a digest is stored.")]
pub(super) struct Create {
    /// A name for people
    #[arg(long)]
    pub(super) name: String,
    /// What the key begins with
    #[arg(long, value_name = "PREFIX", default_value = "kw")]
    pub(super) prefix: KeyPrefix,
    /// A label that routes may demand
    #[arg(long)]
    pub(super) kind: Option<String>,
    /// What it may do; can be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(super) scopes: Vec<String>,
    /// Not accepted from this time on, or so long from now: 90d, 12h, or a time in RFC 3339
    #[arg(long, value_name = "WHEN")]
    pub(super) expires: Option<When>,
    /// Not accepted before this time, or for so long
    #[arg(long, value_name = "WHEN")]
    pub(super) not_before: Option<When>,
    /// A network from which it is accepted, instead of any; can be repeated
    #[arg(long = "allow-ip", value_name = "CIDR")]
    pub(super) networks: Vec<String>,
    /// The paths that it is accepted for, instead of all: /jobs, or /jobs/* for what is below it
    #[arg(long, value_name = "PATH")]
    pub(super) resource_pattern: Option<String>,
    /// A quota of its own, instead of the policy's; can be repeated with another window
    #[arg(long = "limit", value_name = "COUNT/UNIT", allow_hyphen_values = true)]
    pub(super) limits: Vec<String>,
    /// Whose it is
    #[arg(long)]
    pub(super) owner: Option<String>,
    /// Something else to keep with it; can be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) metadata: Vec<String>,
}

/// Which keys are meant: those that meet all that is said.
#[derive(Debug, Args)]
pub(super) struct Which {
    // An empty one is a shell variable that is not set, and must not mean every key.
    /// Keys of this owner
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(super) owner: Option<String>,
    /// Keys whose shown part begins like this
    #[arg(long, value_name = "PREFIX", value_parser = NonEmptyStringValueParser::new())]
    pub(super) prefix: Option<String>,
    /// Keys made at this time or later, or in the last 90d, 12h
    #[arg(long, value_name = "WHEN")]
    pub(super) created_from: Option<When>,
    /// Keys made before this time, or longer ago than 90d, 12h
    #[arg(long, value_name = "WHEN")]
    pub(super) created_before: Option<When>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward keys list
  keyward keys list --owner ada --state live --created-before 90d
  keyward keys list --limit 100 --after ID --json

In the order in which keys were made. On a terminal a table; elsewhere one line for each key, its fields separated by tabs, `-` for
none: id, name, key, owner, scopes, state, made, last used, expires. --json: {\"keys\":[…],\"next\":ID or null}; `next` is what --after
takes for the next page.")]
pub(super) struct List {
    #[command(flatten)]
    pub(super) which: Which,
    /// Keys that are live, not-yet-valid, expired, disabled or revoked
    #[arg(long)]
    pub(super) state: Option<State>,
    /// At most so many
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,
    /// Keys behind the one with this id
    #[arg(long, value_name = "ID")]
    pub(super) after: Option<KeyId>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward keys show 019b3f0c6f5e4c1f8a7d2b9e0c4d5e6f
  keyward keys show ID --json")]
pub(super) struct Show {
    /// The key's id, which `keyward keys list` tells
    pub(super) id: OsString,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward keys update ID --name \"weekly export\" --expires 30d
  keyward keys update ID --scope reports:read --scope reports:write
  keyward keys update ID --no-expiry --any-ip --no-limits
  keyward keys update ID --disable                     not accepted until --enable

What is not named stays as it is. Scopes, networks, quotas and metadata that are given take the place of all that there were. The
journal tells the key before and after. A revoked key is not changed any more.")]
pub(super) struct Change {
    /// The key's id
    pub(super) id: OsString,
    /// Another name for people
    #[arg(long)]
    pub(super) name: Option<String>,
    /// A label that routes may demand
    #[arg(long, conflicts_with = "no_kind")]
    pub(super) kind: Option<String>,
    /// What it may do from now on; can be repeated
    #[arg(long = "scope", value_name = "SCOPE", conflicts_with = "no_scopes")]
    pub(super) scopes: Vec<String>,
    /// Not accepted from this time on, or so long from now: 90d, 12h, or a time in RFC 3339
    #[arg(long, value_name = "WHEN", conflicts_with = "no_expiry")]
    pub(super) expires: Option<When>,
    /// Not accepted before this time, or for so long
    #[arg(long, value_name = "WHEN", conflicts_with = "no_start")]
    pub(super) not_before: Option<When>,
    /// A network from which it is accepted; can be repeated
    #[arg(long = "allow-ip", value_name = "CIDR", conflicts_with = "any_ip")]
    pub(super) networks: Vec<String>,
    /// The paths that it is accepted for: /jobs, or /jobs/* for what is below it
    #[arg(long, value_name = "PATH", conflicts_with = "any_path")]
    pub(super) resource_pattern: Option<String>,
    /// A quota of its own, instead of the policy's; can be repeated with another window
    #[arg(long = "limit", value_name = "COUNT/UNIT", allow_hyphen_values = true, conflicts_with = "no_limits")]
    pub(super) limits: Vec<String>,
    /// Something else to keep with it; can be repeated
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "no_metadata")]
    pub(super) metadata: Vec<String>,
    #[command(flatten)]
    pub(super) without: Without,
    /// Not accepted until it is switched on again
    #[arg(long, conflicts_with = "enable")]
    pub(super) disable: bool,
    /// Accepted again
    #[arg(long)]
    pub(super) enable: bool,
}

/// What is taken away.
#[derive(Debug, Args)]
pub(super) struct Without {
    /// Without a label
    #[arg(long)]
    pub(super) no_kind: bool,
    /// It may do nothing that needs a scope
    #[arg(long)]
    pub(super) no_scopes: bool,
    /// It does not end by itself
    #[arg(long)]
    pub(super) no_expiry: bool,
    /// Accepted from now on
    #[arg(long)]
    pub(super) no_start: bool,
    /// Accepted from everywhere
    #[arg(long)]
    pub(super) any_ip: bool,
    /// Accepted for all paths
    #[arg(long)]
    pub(super) any_path: bool,
    /// The policy's quotas
    #[arg(long)]
    pub(super) no_limits: bool,
    /// Nothing else is kept with it
    #[arg(long)]
    pub(super) no_metadata: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward keys revoke ID ID
  keyward keys revoke --owner ada
  keyward keys revoke --prefix acme_ci --created-before 2026-01-01T00:00:00Z --yes
  keyward keys revoke --list revoked.txt              once more, after a backup was restored

Revoking is final, and revoking again is no fault. How soon it holds everywhere is told. Where keys are not named by their ids, it
asks first, or wants --yes. --list reads ids, one a line; what is not there is told, and the others are revoked.")]
pub(super) struct Revoke {
    /// The keys' ids
    #[arg(value_name = "ID", conflicts_with_all = ["owner", "prefix", "created_from", "created_before"])]
    pub(super) ids: Vec<OsString>,
    /// A file of ids, one a line; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["owner", "prefix", "created_from", "created_before"])]
    pub(super) list: Option<PathBuf>,
    #[command(flatten)]
    pub(super) which: Which,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward keys rotate ID
  KEY=$(keyward keys rotate ID --grace 1h)
  keyward keys rotate ID --grace 0s                    the old secret ends at once

The id stays. A further rotation ends the older secret at once, whatever is left of its grace.")]
pub(super) struct Rotate {
    /// The key's id
    pub(super) id: OsString,
    /// How long the old secret is accepted still
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    pub(super) grace: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One JSON object a line
    Jsonl,
    /// A row of column names, then a row for each key
    Csv,
    /// One key a line, and nothing else
    Plain,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward keys import keys.jsonl
  keyward keys import partners.csv --kind partner --scope reports:read
  keyward keys import random.txt --entropy-bits 128
  keyward keys import chosen.txt --handle-length 8
  export-keys | keyward keys import - --format jsonl

Names, of JSON objects as of columns: key, or sha256 of it, or phc with handle; entropy_bits, handle, name, kind, owner, scopes,
not_before, expires_at, revoked, disabled, allowed_ips, limit. In CSV, several scopes, allowed_ips or limits are separated by blanks.

A key that may be guessed must not be stored as a mere digest: each says entropy_bits of 112 or more if it was generated at random,
or has a handle, the first 8 to 32 characters of it, and is stored as Argon2id.

Either all rows are imported or none: each that is refused is told by its line, and the exit status is 1.")]
pub(super) struct Import {
    /// The file; `-` is standard input
    pub(super) file: PathBuf,
    /// How it is written; without it .csv is CSV, .txt plain, all else JSON lines
    #[arg(long)]
    pub(super) format: Option<Format>,
    /// Each key of a plain list was generated at random, with so many bits of entropy
    #[arg(long, value_name = "NUMBER", conflicts_with = "handle_length")]
    pub(super) entropy_bits: Option<u32>,
    /// Each key of a plain list is stored as Argon2id, under as many of its first characters
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(8..=32))]
    pub(super) handle_length: Option<u8>,
    /// The owner of keys that name none
    #[arg(long)]
    pub(super) owner: Option<String>,
    /// The kind of keys that name none
    #[arg(long)]
    pub(super) kind: Option<String>,
    /// A scope of keys that name none; can be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(super) scopes: Vec<Scope>,
    /// Import the other rows where some are refused; the exit status is 1 all the same
    #[arg(long)]
    pub(super) skip_bad: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward keys verify < key.txt
  printf %s \"$KEY\" | keyward keys verify --peer 203.0.113.9 --json

Reads one line. Exit status: 0 it would be accepted, 1 it would not. Nothing is charged, and no use is counted. A key that is
accepted from some networks only is judged by its networks if --peer is given. --json: {\"valid\":…,\"denial\":KIND or null,\"key\":…}.")]
pub(super) struct Verify {
    /// The client's address
    #[arg(long, value_name = "IP")]
    pub(super) peer: Option<IpAddr>,
    // Taken, so that it can be refused without being repeated.
    #[arg(hide = true)]
    pub(super) key: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward keys purge --revoked-before 90d
  keyward keys purge --revoked-before 2026-01-01T00:00:00Z --yes

Their digests stay, so that no such key can be imported again. Asks first, or wants --yes.")]
pub(super) struct Purge {
    /// Keys that were revoked before this time, or longer ago than 90d, 12h
    #[arg(long, value_name = "WHEN")]
    pub(super) revoked_before: When,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}
