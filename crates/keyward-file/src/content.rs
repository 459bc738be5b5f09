//! What the file says: a head of four lines, and behind it a [`Snapshot`] as JSON.
//!
//! ```json
//! {
//!   "format": "keyward-keys",
//!   "version": 1,
//!   "checksum": "sha256:…",
//!   "keys": [],
//! ```
//!
//! The checksum is that of all lines but its own, the fourth: `sed 4d api-keys.json | sha256sum` tells it. It is taken of bytes and
//! not of what they mean, so that it stays the same when a later version knows more fields, and no byte can be another one unnoticed.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use keyward::MemoryStore;
use keyward::store::{Snapshot, StoredSlot};
use serde::Deserialize;
use serde_json::error::Category;
use sha2::{Digest, Sha256};

use crate::error::{FileError, FileErrorKind};

const FORMAT: &str = "keyward-keys";
const VERSION: u64 = 1;
/// The three lines before the checksum.
const HEAD: &str = "{\n  \"format\": \"keyward-keys\",\n  \"version\": 1,\n";
const RESTORE: &str = "restore a backup of it, and revoke again what was revoked since the backup was made";

/// A file's text, and its checksum.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) checksum: String,
}

/// Writes keys down.
pub(crate) fn write(snapshot: &Snapshot) -> Result<Written, serde_json::Error> {
    let json = serde_json::to_string_pretty(snapshot)?;
    // Every snapshot begins with a brace and a line break: it has fields.
    let fields = json.strip_prefix("{\n").unwrap_or(&json);
    let fields = format!("{fields}\n");
    let checksum = checksum_of(fields.as_bytes());
    Ok(Written { text: format!("{HEAD}{}{fields}", checksum_line(&checksum)), checksum })
}

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) store: MemoryStore,
    pub(crate) checksum: String,
}

/// Reads a file, or says what is wrong with it. No text repeats a value of the file: somebody may have written a key into it.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Content, FileError> {
    let damaged =
        |problem: String, mend: &str| FileError::new(FileErrorKind::Damaged, path, format!("is damaged: {problem}"), mend);
    if bytes.is_empty() {
        let mend = format!("{RESTORE}; only if it never held a key, remove it, and a new one is made");
        return Err(FileError::new(FileErrorKind::Damaged, path, "is empty", mend));
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| damaged(told(&error), RESTORE))?;
    if head.format != FORMAT {
        return Err(damaged(format!("it does not say `\"format\": \"{FORMAT}\"`"), RESTORE));
    }
    if head.version > VERSION {
        let problem = format!("is of version {}, and this program reads version {VERSION}", head.version);
        return Err(FileError::new(FileErrorKind::Newer, path, problem, "use a newer Keyward"));
    }
    let by_hand = |line: &str| {
        format!(
            "{RESTORE}; or, if it was edited by hand and on purpose, let its fourth line be `{}`",
            line.trim_end_matches('\n')
        )
    };
    let lines = bytes.strip_prefix(HEAD.as_bytes());
    let Some((line, fields)) = lines.and_then(|lines| lines.split_at_checked(lines.iter().position(|byte| *byte == b'\n')? + 1))
    else {
        return Err(damaged(format!("it does not begin with the lines {HEAD:?}"), RESTORE));
    };
    let checksum = checksum_of(fields);
    let right = checksum_line(&checksum);
    if line != right.as_bytes() {
        let said = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix(CHECKSUM)?.strip_suffix("\",\n"));
        let problem = match said.filter(|said| said.len() == checksum.len() && said.is_ascii()) {
            Some(said) => format!("line 4 says sha256:{said}, and the other lines give sha256:{checksum}"),
            None => "line 4 is not its checksum".to_owned(),
        };
        return Err(damaged(problem, &by_hand(&right)));
    }

    // As many lines as were read already, so that places are told right.
    let snapshot = [b"{\n\n\n\n".as_slice(), fields].concat();
    let by_hand =
        "its checksum is right, so it was edited by hand: mend that, or restore a backup and revoke again what was revoked since";
    let snapshot: Snapshot = serde_json::from_slice(&snapshot).map_err(|error| damaged(told(&error), by_hand))?;
    check(&snapshot).map_err(|problem| damaged(problem, by_hand))?;
    let store = MemoryStore::from_snapshot(&snapshot).map_err(|error| damaged(error.to_string(), by_hand))?;
    Ok(Content { store, checksum })
}

/// What can be said of a file of any version.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format: String,
    #[serde(default)]
    version: u64,
}

const CHECKSUM: &str = "  \"checksum\": \"sha256:";

fn checksum_line(checksum: &str) -> String {
    format!("{CHECKSUM}{checksum}\",\n")
}

fn checksum_of(fields: &[u8]) -> String {
    let digest = Sha256::new().chain_update(HEAD).chain_update(fields).finalize();
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Where and what, without the values that are there.
fn told(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    let what = error.to_string();
    let what = what.rsplit_once(" at line ").map_or(&*what, |(what, _)| what);
    let is_about_a_field = what.starts_with("missing field") || what.starts_with("duplicate field");
    match error.classify() {
        Category::Data if what.starts_with("unknown field") => format!("{place} has a field that this version does not know"),
        Category::Data if !is_about_a_field => format!("{place} has a value of another kind than belongs there"),
        _ => format!("{place}: {what}"),
    }
}

/// What a store in memory would not notice, and can never have written.
fn check(snapshot: &Snapshot) -> Result<(), String> {
    // Digits may be in upper case where somebody wrote them; handles are what they are.
    let same = |secret: &str| if secret.starts_with(HANDLE) { secret.to_owned() } else { secret.to_ascii_lowercase() };
    let retired: HashSet<String> = snapshot.retired.iter().map(|secret| same(secret)).collect();
    for key in &snapshot.keys {
        let is_retired = |slot: &StoredSlot| retired.contains(&same(&retired_name(slot)));
        if std::iter::once(&key.current).chain(&key.previous).any(is_retired) {
            return Err(format!("key {} has a secret that is among the retired ones", key.id));
        }
    }
    let numbers = || snapshot.journal.iter().map(|row| row.number);
    if numbers().zip(numbers().skip(1)).any(|(before, after)| before >= after) || numbers().next_back() == Some(u64::MAX) {
        return Err("the numbers in `journal` do not grow".to_owned());
    }
    Ok(())
}

const HANDLE: &str = "handle:";

/// How a slot's secret would be written among the retired ones.
pub(crate) fn retired_name(slot: &StoredSlot) -> String {
    match &slot.handle {
        None => slot.secret.clone(),
        Some(handle) => format!("{HANDLE}{handle}"),
    }
}
