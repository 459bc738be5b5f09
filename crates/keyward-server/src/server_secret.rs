//! The secret that tickets are signed with, from a file or the environment.

use std::ffi::OsStr;
use std::path::Path;

use keyward::SystemRandom;
use keyward::ticket::{ServerSecret, Tickets};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::private_file;
use crate::setting::Setting;

const FILE: &str = "--server-secret-file";
const VARIABLE: &str = "KEYWARD_SERVER_SECRET";

/// What is read at most. A secret is a line, and a change of it two.
const LARGEST: u64 = 64 * 1024;

/// What tickets are signed with.
pub(crate) struct Signing {
    pub(crate) tickets: Tickets,
    /// This process made the secret, so no other one has it.
    pub(crate) is_made_here: bool,
}

/// One secret a line: the first signs, tickets of the others are accepted still.
///
/// Without any it is made anew, and tickets end with the process: right for one server, whose memory of used ones ends then, too.
///
/// The file is its owner's alone, unless `others_can_read` it.
pub(crate) fn read(file: Option<&OsStr>, others_can_read: bool) -> Result<Signing, Failure> {
    let file = Setting::of(file, FILE, "KEYWARD_SERVER_SECRET_FILE");
    let text = Setting::of(None, FILE, VARIABLE);
    let (name, text) = match (file, text) {
        (Some(file), Some(_)) => {
            let problem = format!("{}: {VARIABLE} is set, too; leave one of them out", file.name);
            return Err(Failure::Configuration(problem));
        }
        (Some(Setting { value, name }), None) => {
            let path = Path::new(&value);
            let read = if others_can_read { private_file::read_though_others_can } else { private_file::read };
            (name, Zeroizing::new(read(name, path, LARGEST, "a file of server secrets")?.expose().to_owned()))
        }
        (None, Some(Setting { value, name })) => {
            let text = value.into_string().map_err(|_| Failure::Configuration(format!("{name}: it is no text")))?;
            (name, Zeroizing::new(text))
        }
        (None, None) => {
            let secret = ServerSecret::generate(&SystemRandom).map_err(|fault| Failure::Fault(fault.to_string()))?;
            return Ok(Signing { tickets: Tickets::new(secret), is_made_here: true });
        }
    };
    let mut tickets: Option<Tickets> = None;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let secret: ServerSecret =
            line.parse().map_err(|weak| Failure::Configuration(format!("{name}: line {}: {weak}", index + 1)))?;
        tickets = Some(match tickets {
            None => Tickets::new(secret),
            Some(tickets) => tickets.previous(secret),
        });
    }
    let empty = || Failure::Configuration(format!("{name}: it is empty: write the output of `openssl rand -base64 32`"));
    Ok(Signing { tickets: tickets.ok_or_else(empty)?, is_made_here: false })
}
