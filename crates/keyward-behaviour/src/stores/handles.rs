//! Keys that could be guessed, with their handles and hashes: hashed beforehand, with parameters that make a verification cheap.

use keyward::import::ImportedKey;
use serde_json::json;

use super::{bench::row, problem::Problem};

/// A key that could be guessed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandledKey {
    pub(crate) key: &'static str,
    pub(crate) handle: &'static str,
    phc: &'static str,
}

impl HandledKey {
    /// As it is imported by its hash.
    pub(crate) fn imported(&self) -> Result<ImportedKey, Problem> {
        row(json!({ "phc": self.phc, "handle": self.handle }))
    }
}

const fn handled(key: &'static str, handle: &'static str, phc: &'static str) -> HandledKey {
    HandledKey { key, handle, phc }
}

/// Some of whose handles are the same, or begin one another.
pub(crate) const HANDLED: [HandledKey; 6] = [
    handled(
        "customer1-first-secret",
        "customer1",
        "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$rbv34aBxhlwTkcoidUYmV0YxDlh05K1kwZ7GjPhpqXk",
    ),
    handled(
        "customer12-second-secret",
        "customer12",
        "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$y5fl1Fovnk8voabqmThJ+miJVh1j9sv9wePbYe4ocaw",
    ),
    handled(
        "customer-third-secret",
        "customer",
        "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$AwWyAezV0SG/RDm4mvtXkOQw/XWgWN910J5LcZbhvys",
    ),
    handled(
        "customer2-fourth-secret",
        "customer2",
        "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$Ftuogo9YA81gwiDJco2cnzvdmF6AODFZgrNoo5tEmTY",
    ),
    handled(
        "customer1-fifth-secret",
        "customer1",
        "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$d3ntqojpWQN8b+HrUJ24HznuqE/hvVTBDgBsu2TYYp8",
    ),
    handled(
        "tenant-7-sixth-secret",
        "tenant-7",
        "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$crsE00lbxkLvfcxsSiOz4ZbpfQ/t1RnqH1Gofahw4GM",
    ),
];
