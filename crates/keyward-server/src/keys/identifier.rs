//! Ids of keys as they were written, which may be a key by mistake.

use std::ffi::OsStr;

use keyward::key::{self, KeyId};

use crate::failure::Failure;

/// Reads an id. What is none is not repeated: whoever takes the key for its id has written the key.
pub(super) fn read(written: &OsStr) -> Result<KeyId, Failure> {
    parse(&written.to_string_lossy()).map_err(Failure::Configuration)
}

pub(super) fn parse(text: &str) -> Result<KeyId, String> {
    if key::parse(text).is_some() {
        return Err(
            "this is a key and not the id of one; `keyward keys verify` reads a key from standard input and tells its id"
                .to_owned(),
        );
    }
    text.parse::<KeyId>().map_err(|error| format!("{error}; `keyward keys list` tells them"))
}

/// What is told where there is no such key.
pub(super) fn not_found(id: &KeyId) -> String {
    format!("{id}: there is no key with this id; `keyward keys list` tells which there are")
}
