//! What an error of the server or its driver means for whoever runs it.

use std::time::Duration;

use redis::{ErrorKind, RedisError};

use crate::name::Namespace;

/// Why the server could not be asked. The text holds no secret.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// It does not know us, or does not let us do what is needed, or cannot. Waiting does not help.
    Refused,
    /// It cannot count now, for anybody.
    Away,
    /// This was not counted. The next may be.
    Once,
    /// This cannot be counted, whatever becomes of others.
    Counter,
}

impl Failure {
    pub(crate) fn away(text: impl Into<String>) -> Self {
        Self { kind: FailureKind::Away, text: text.into() }
    }

    pub(crate) fn once(text: impl Into<String>) -> Self {
        Self { kind: FailureKind::Once, text: text.into() }
    }

    pub(crate) fn late(timeout: Duration) -> Self {
        Self::once(format!("no answer within {timeout:?}: check its load and the network"))
    }

    /// The one place where errors of the driver are read.
    pub(crate) fn of(error: &RedisError, namespace: &Namespace) -> Self {
        use FailureKind::{Away, Counter, Once, Refused};
        const AUTHENTICATE: &str = "check the user and the password in the address, and the server's ACL";
        let text = error.to_string();
        let (kind, mend) = match code(error, &text) {
            _ if error.kind() == ErrorKind::AuthenticationFailed => (Refused, AUTHENTICATE),
            "WRONGPASS" | "NOAUTH" => (Refused, AUTHENTICATE),
            "NOPERM" => {
                let names = namespace.everything();
                let rights = "+evalsha +eval +script|load +time +hmget +hgetall +hset +hdel +pexpire";
                return Self { kind: Refused, text: format!("it failed ({text}): for limits the user needs ~{names} {rights}") };
            }
            "NOPROTO" => (Refused, "it is too old: Redis 6 or newer, or Valkey"),
            UNKNOWN => {
                (Refused, "it lacks a command, or calls it otherwise: rename and switch off none that the user has to be allowed")
            }
            DATABASE => (
                Refused,
                "the number at the end of the address is none of its `databases`, or the user lacks +select: leave it out for the first",
            ),
            "READONLY" => (Away, "it is a replica: connect to the primary"),
            "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" | "TRYAGAIN" => {
                (Away, "a namespace lives on one node of a cluster: connect to the one that has its slot")
            }
            "OOM" => (Away, "its memory is full: raise maxmemory"),
            "MISCONF" => (Away, "it cannot write to its disk: see its log"),
            "NOREPLICAS" => (Away, "it has fewer replicas than its `min-replicas-to-write`"),
            "LOADING" | "MASTERDOWN" => (Away, "wait for it"),
            "BUSY" => (Away, "another script holds it up: see its slow log"),
            "WRONGTYPE" => (Counter, "somebody else writes there: give limits a namespace or a server of their own"),
            // Its end is told besides, by the connection itself.
            _ if error.is_io_error() => {
                (Once, "check that it runs and can be reached, and whether its port wants TLS (rediss://)")
            }
            _ => (Once, "see its log"),
        };
        Self { kind, text: format!("it failed ({text}): {mend}") }
    }

    pub(crate) fn of_socket(error: &std::io::Error) -> Self {
        Self::away(format!("it cannot be reached ({error}): check the address, the network and whether it runs"))
    }
}

const UNKNOWN: &str = "unknown command";
const DATABASE: &str = "refused to switch database";

/// What kind of error the server told: its code, or what stands for one where it has none of its own.
fn code<'e>(error: &'e RedisError, text: &str) -> &'e str {
    let code = error.code().unwrap_or_default();
    if text.contains(DATABASE) {
        return DATABASE;
    }
    if code != "ERR" {
        return code;
    }
    // Errors within a script. Redis 7 and Valkey say these of what its user may not do; Redis 6 puts the code into the text.
    if ["The user executing the script can't", "ACL failure in script", "-NOPERM "].iter().any(|said| text.contains(said)) {
        return "NOPERM";
    }
    let lower = text.to_ascii_lowercase();
    if [UNKNOWN, "unknown redis command", "unknown subcommand"].iter().any(|said| lower.contains(said)) {
        return UNKNOWN;
    }
    let within = ["OOM", "READONLY", "MISCONF", "NOREPLICAS", "WRONGTYPE", "MASTERDOWN", "LOADING", "CLUSTERDOWN"];
    within.into_iter().find(|code| text.contains(&format!("-{code} "))).unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use redis::ServerErrorKind;

    use super::*;

    #[test]
    fn what_a_server_says_within_a_script() {
        let kind = |said: &str| {
            let error = (ErrorKind::Server(ServerErrorKind::ResponseError), "response error", said.to_owned());
            Failure::of(&RedisError::from(error), &Namespace::new("reports").unwrap()).kind
        };
        for (said, expected) in [
            (
                "The user executing the script can't run this command or subcommand script: 1, on @user_script:1.",
                FailureKind::Refused,
            ),
            ("ACL failure in script: User limits has no permissions to run the 'hdel' command", FailureKind::Refused),
            ("Unknown Redis command called from script script: 1, on @user_script:1.", FailureKind::Refused),
            ("unknown command 'EVALSHA', with args beginning with: 'a'", FailureKind::Refused),
            (
                "Error running script (call to f_1): @user_script:4: @user_script: 4: -OOM command not allowed when used memory > 'maxmemory'.",
                FailureKind::Away,
            ),
            (
                "Error running script (call to f_1): @user_script:4: -READONLY You can't write against a read only replica.",
                FailureKind::Away,
            ),
            (
                "Error running script (call to f_1): @user_script:4: -WRONGTYPE Operation against a key holding the wrong kind of value",
                FailureKind::Counter,
            ),
            ("user_script:60: attempt to perform arithmetic on a nil value", FailureKind::Once),
        ] {
            assert_eq!(kind(said), expected, "{said}");
        }
    }
}
