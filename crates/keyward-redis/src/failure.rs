//! What an error of the server or its driver means for whoever runs it.

use std::time::Duration;

use redis::{ErrorKind, RedisError};

/// Why the server could not be asked. The text holds no secret.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// It does not know us, or does not let us do what is needed. Waiting does not help.
    Refused,
    /// It cannot be reached, or does not answer, or not now.
    Away,
}

impl Failure {
    pub(crate) fn away(text: impl Into<String>) -> Self {
        Self { kind: FailureKind::Away, text: text.into() }
    }

    pub(crate) fn late(timeout: Duration) -> Self {
        Self::away(format!("no answer within {timeout:?}: check its load and the network"))
    }

    /// The one place where errors of the driver are read.
    pub(crate) fn of(error: &RedisError) -> Self {
        let code = error.code().unwrap_or_default();
        let mend = match code {
            "WRONGPASS" | "NOAUTH" => "check the user and the password in the address, and the server's ACL",
            "NOPERM" => {
                "the user needs ~{NAMESPACE}:* and +evalsha +eval +script|load +time +hmget +hgetall +hset +hdel +pexpire"
            }
            "READONLY" => "it is a replica: connect to the primary",
            "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" | "TRYAGAIN" => {
                "a namespace lives on one node of a cluster: connect to the one that has its slot"
            }
            "OOM" => "its memory is full: raise maxmemory",
            "MISCONF" => "it cannot write to its disk: see its log",
            "LOADING" | "MASTERDOWN" => "wait for it",
            "BUSY" => "another script holds it up: see its slow log",
            "NOPROTO" => "it is too old: Redis 6 or newer, or Valkey",
            _ if error.kind() == ErrorKind::AuthenticationFailed => {
                "check the user and the password in the address, and the server's ACL"
            }
            _ if error.is_io_error() => "check that it runs and can be reached",
            _ => "see its log",
        };
        let refused =
            matches!(code, "WRONGPASS" | "NOAUTH" | "NOPERM" | "NOPROTO") || error.kind() == ErrorKind::AuthenticationFailed;
        let kind = if refused { FailureKind::Refused } else { FailureKind::Away };
        Self { kind, text: format!("it failed ({error}): {mend}") }
    }

    pub(crate) fn of_socket(error: &std::io::Error) -> Self {
        Self::away(format!("it cannot be reached ({error}): check the address, the network and whether it runs"))
    }
}
