//! What a counter is called in Redis.

use std::fmt::Write as _;
use std::net::IpAddr;

use keyward::limit::Whose;
use sha2::{Digest, Sha256};

/// The first part of every name. Within one, everything is in one slot of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Namespace(String);

impl Namespace {
    /// `None` unless it has 1 to 64 letters, digits, `.`, `_`, `:` and `-`.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        ((1..=64).contains(&name.len()) && name.bytes().all(good)).then(|| Self(name.to_owned()))
    }

    /// `{NAMESPACE}:KIND:HASH`. Braces are what a cluster chooses the slot by. The hash tells nobody who reads the server's
    /// keys or its slow log an id, an owner or an address by itself.
    pub(crate) fn key(&self, whose: Whose<'_>) -> String {
        let mut hash = Sha256::new();
        // Each part with its length: otherwise two lists of parts could read the same.
        let mut part = |bytes: &[u8]| {
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(bytes);
        };
        match whose {
            Whose::Key(id) => part(id.as_str().as_bytes()),
            Whose::Identity(authenticator, id) => {
                part(authenticator.as_bytes());
                part(id.as_bytes());
            }
            Whose::Owner(owner) => part(owner.as_bytes()),
            Whose::Address(address) => part(&network(address)),
            Whose::Policy => {}
            Whose::Failures { address, flagged } => {
                part(&network(address));
                part(&[u8::from(flagged)]);
            }
        }
        let kind = match whose {
            // A key's in answers as well, and other keys here.
            Whose::Identity(..) => "identity",
            whose => whose.name(),
        };
        let mut key = format!("{{{}}}:{kind}:", self.0);
        for byte in &hash.finalize()[..16] {
            let _ = write!(key, "{byte:02x}");
        }
        key
    }

    /// What an ACL has to let a user use.
    pub(crate) fn everything(&self) -> String {
        format!("{{{}}}:*", self.0)
    }

    /// Where used tickets are noted, all of them. Nothing of a ticket is in the name.
    pub(crate) fn tickets(&self) -> String {
        format!("{{{}}}:tickets", self.0)
    }
}

fn network(address: IpAddr) -> Vec<u8> {
    match Whose::network(address) {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_where_counters_do() {
        let namespace = Namespace::new("service-a").unwrap();
        let address = |text: &str| Whose::Address(text.parse().unwrap());
        let failures = |text: &str, flagged| Whose::Failures { address: text.parse().unwrap(), flagged };
        let whose = [
            Whose::Key("a".parse().unwrap()),
            Whose::Key("b".parse().unwrap()),
            Whose::Identity("a", "b"),
            Whose::Identity("ab", ""),
            Whose::Owner("a"),
            Whose::Policy,
            address("10.0.0.1"),
            address("2001:db8::1"),
            address("2001:db8:0:1::1"),
            failures("10.0.0.1", false),
            failures("10.0.0.1", true),
        ];
        let names: std::collections::HashSet<_> = whose.iter().map(|&whose| namespace.key(whose)).collect();
        assert_eq!(names.len(), whose.len());
        assert!(names.iter().all(|name| name.starts_with("{service-a}:")), "{names:?}");
        for (one, other) in [("::ffff:10.0.0.1", "10.0.0.1"), ("2001:db8::ffff", "2001:db8::1")] {
            assert_eq!(namespace.key(address(one)), namespace.key(address(other)));
        }
    }

    #[test]
    fn a_namespace_cannot_break_out_of_its_braces() {
        for bad in ["", "a}b", "{", "a b", "é", &"x".repeat(65)] {
            assert!(Namespace::new(bad).is_none(), "{bad}");
        }
        assert!(Namespace::new(&"x".repeat(64)).is_some());
    }
}
