//! The command line.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use keyward::Timestamp;
use keyward::audit::chain::ChainHash;
use keyward::key::KeyPrefix;

use crate::database::{Access, Database};
use crate::failure::Failure;
use crate::output::visible;
use crate::setting::Setting;
use crate::{accounts, keys};

/// API-key authentication for HTTP services.
///
/// Serves forward-auth to nginx, Caddy and Traefik, looks after keys, and tells why a request is let through or not.
#[derive(Debug, Parser)]
#[command(
    name = "keyward",
    version,
    after_help = "\
Examples:
  keyward serve                                        decide for a proxy, on 127.0.0.1:8080
  keyward keys create --name \"nightly export\"          a new key, in keyward.db
  keyward accounts create --email ada@example.com      somebody who signs in, and looks after keys
  keyward policy check policy.toml                     what is wrong with a policy, by line
  keyward explain --policy policy.toml < request.txt   why a request is allowed or denied
  keyward generate --prefix acme --count 3             three new keys
  keyward scan .                                       keys that were left in files

Exit status: 0 done, 1 refused or found, 2 wrong usage or configuration, 3 a fault.
KEYWARD_LOG chooses what is logged to standard error, like \"debug\" or \"keyward=warn\"."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve forward-auth, tickets, metrics, accounts, the management of keys and the dashboard
    Serve(Serve),
    /// Look after stored keys
    Keys(keys::arguments::Keys),
    /// Look after the accounts of those who sign in
    Accounts(accounts::arguments::Accounts),
    /// Tell every step of a decision about one request, read from standard input; consumes nothing
    Explain(Explain),
    /// Look after policy files
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Look after audit files
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Print new keys; nothing is stored
    Generate(Generate),
    /// Find generated keys in files; never prints a whole key
    Scan(Scan),
    /// Print a script that completes command lines
    #[command(after_help = "\
Examples:
  keyward completions bash > /etc/bash_completion.d/keyward
  keyward completions fish > ~/.config/fish/completions/keyward.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What a decision is made from.
#[derive(Debug, Args)]
pub(crate) struct Deciding {
    // Variables are not read by clap: it names the flag in errors about them, and takes an empty one for a value.
    /// The policy; without it, Bearer and X-API-Key with every default [env: KEYWARD_POLICY]
    #[arg(long, value_name = "FILE")]
    policy: Option<OsString>,
    #[command(flatten)]
    pub(crate) stored: Stored,
    /// Keys that are held in memory only, one JSON object a line; instead of a database
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// The secrets that WebSocket tickets are signed with, one a line, the one to sign with first; without it a new one at each
    /// start [env: KEYWARD_SERVER_SECRET_FILE, or KEYWARD_SERVER_SECRET with the secrets themselves]
    #[arg(long, value_name = "FILE")]
    server_secret_file: Option<OsString>,
    /// Takes that file although others can read it, or own it
    #[arg(long)]
    pub(crate) insecure_readable_server_secret: bool,
}

impl Deciding {
    pub(crate) fn server_secret_file(&self) -> Option<&std::ffi::OsStr> {
        self.server_secret_file.as_deref()
    }

    pub(crate) fn policy(&self) -> Option<Setting> {
        Setting::of(self.policy.as_deref(), "--policy", "KEYWARD_POLICY")
    }
}

/// Where stored keys are, and what is needed to recognise them.
#[derive(Debug, Args)]
pub(crate) struct Stored {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Peppers for stored digests, lines of VERSION SECRET, in a file that only its owner can read [env: KEYWARD_PEPPER_FILE]
    #[arg(long, value_name = "FILE", global = true)]
    pepper_file: Option<OsString>,
}

impl Stored {
    pub(crate) fn pepper_file(&self) -> Option<Setting> {
        Setting::of(self.pepper_file.as_deref(), "--pepper-file", "KEYWARD_PEPPER_FILE")
    }
}

/// Where keys and accounts are.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Where keys are kept: sqlite:PATH, postgres://…, json:PATH or memory: [env: KEYWARD_DATABASE] [default: sqlite:keyward.db]
    // Not parsed by clap, which would repeat a password in its error.
    #[arg(long, value_name = "URL", global = true)]
    database: Option<OsString>,
    /// Open a SQLite database whose file of revocations was lost: what was revoked since a backup may be accepted again
    #[arg(long, global = true)]
    accept_lost_revocations: bool,
}

impl Place {
    pub(crate) fn database(&self) -> Option<Setting> {
        Setting::of(self.database.as_deref(), "--database", "KEYWARD_DATABASE")
    }

    /// Opens the database that was named, or the default one.
    pub(crate) async fn open(&self, access: Access) -> Result<Database, Failure> {
        Database::open(self.database().as_ref(), access, self.accept_lost_revocations).await
    }

    /// As [`Place::open`], for what has to be there when the command has ended: `things`, like `keys`.
    pub(crate) async fn open_lasting(&self, access: Access, things: &str) -> Result<Database, Failure> {
        let database = self.open(access).await?;
        match self.database().filter(|_| !database.lasts()) {
            None => Ok(database),
            Some(setting) => Err(Failure::Configuration(format!(
                "{}: {things} in memory are gone when this command ends; name the database that `keyward serve` uses",
                setting.name
            ))),
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward serve
  keyward serve --policy policy.toml --database postgres://keyward@db/keys --listen 0.0.0.0:8080
  KEYWARD_POLICY=policy.toml keyward serve --keys keys.jsonl --listen 127.0.0.1:0
  KEYWARD_REDIS=rediss://keyward:…@redis keyward serve --redis-nodes 4 --policy policy.toml --listen 0.0.0.0:8080
  (umask 077; openssl rand -base64 32 > secret); KEYWARD_REDIS=redis://127.0.0.1 keyward serve --server-secret-file secret

What it answers:
  /healthz                               whether it runs, without a key
  /whoami                                whose the key is, and what is left of its quotas
  /auth, /auth?nginx                     forward-auth, for Traefik and Caddy, or for nginx
  POST /auth/token                       a ticket for the key, which opens one WebSocket
  /api/v1/auth/register, login, logout   signing in and out; registration is closed here
  /api/v1/user, and what is below it     one's account, sessions, and keys (api-keys)
  /api/v1/agent-keys                     keys of agents
  /api/v1/accounts                       everybody's accounts, for administrators
  /api/v1/audit                          who did what
  /dashboard                             all of that in a browser
  GET /openapi.json, /docs               all of these paths described, for programs and for people
A JSON file of keys has no accounts: there, keys with keys:manage look after keys.

The first start on a database makes a bootstrap key and tells it once on standard error, with a curl line that uses it. Where
standard error is no terminal and the listener is no loopback address, it is written to a new file instead.

`keyward accounts create` makes the first account, or a POST to /api/v1/accounts with that key does. Servers that take each other's
tickets have one secret file and one Redis.

`limits.failures` is 60/minute unless the policy says otherwise. Audit events go to standard error, or with --audit to a file whose lines
`keyward audit verify` checks.")]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) deciding: Deciding,
    /// Where to listen; port 0 picks a free one [env: KEYWARD_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<OsString>,
    /// How many connections at once; others wait until one ends [env: KEYWARD_MAX_CONNECTIONS] [default: 10000]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    max_connections: Option<OsString>,
    /// Count limits and bad keys in Redis or Valkey, and note used tickets there, together with all who name the same one:
    /// redis://… or rediss://…, with a password in the variable [env: KEYWARD_REDIS]
    // Not parsed by clap, which would repeat a password in its error.
    #[arg(long, value_name = "URL")]
    redis: Option<OsString>,
    /// What holds while Redis is away: local (counted here, divided by the number of nodes), deny or open [env: KEYWARD_REDIS_AWAY] [default: local]
    #[arg(long, value_name = "MODE")]
    redis_away: Option<OsString>,
    /// Among how many nodes limits are divided while Redis is away [env: KEYWARD_REDIS_NODES] [default: 1]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    redis_nodes: Option<OsString>,
    /// What the counters' names in Redis begin with: services that share none have one each [env: KEYWARD_REDIS_NAMESPACE] [default: keyward]
    #[arg(long, value_name = "NAME")]
    redis_namespace: Option<OsString>,
    /// Append audit events to this file instead of standard error, each vouching for the one before [env: KEYWARD_AUDIT]
    #[arg(long, value_name = "FILE")]
    audit: Option<OsString>,
    /// A key without which nobody can write that file's lines anew, in a file that only its owner can read [env: KEYWARD_AUDIT_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    audit_key_file: Option<OsString>,
}

impl Serve {
    /// `HOST:PORT`.
    pub(crate) fn listen(&self) -> Result<String, Failure> {
        let Some(setting) = Setting::of(self.listen.as_deref(), "--listen", "KEYWARD_LISTEN") else {
            return Ok("127.0.0.1:8080".to_owned());
        };
        let text = setting.value.to_string_lossy();
        listen_address(&text)
            .map_err(|problem| Failure::Configuration(format!("{}: `{}` is no address: {problem}", setting.name, visible(&text))))
    }

    pub(crate) fn redis(&self) -> Option<Setting> {
        Setting::of(self.redis.as_deref(), "--redis", "KEYWARD_REDIS")
    }

    pub(crate) fn redis_away(&self) -> Option<Setting> {
        Setting::of(self.redis_away.as_deref(), "--redis-away", "KEYWARD_REDIS_AWAY")
    }

    pub(crate) fn redis_nodes(&self) -> Option<Setting> {
        Setting::of(self.redis_nodes.as_deref(), "--redis-nodes", "KEYWARD_REDIS_NODES")
    }

    pub(crate) fn redis_namespace(&self) -> Option<Setting> {
        Setting::of(self.redis_namespace.as_deref(), "--redis-namespace", "KEYWARD_REDIS_NAMESPACE")
    }

    pub(crate) fn audit(&self) -> Option<Setting> {
        Setting::of(self.audit.as_deref(), "--audit", "KEYWARD_AUDIT")
    }

    pub(crate) fn audit_key_file(&self) -> Option<Setting> {
        Setting::of(self.audit_key_file.as_deref(), "--audit-key-file", "KEYWARD_AUDIT_KEY_FILE")
    }

    /// How many connections there may be at once.
    pub(crate) fn max_connections(&self) -> Result<usize, Failure> {
        let Some(setting) = Setting::of(self.max_connections.as_deref(), "--max-connections", "KEYWARD_MAX_CONNECTIONS") else {
            return Ok(10_000);
        };
        let text = setting.value.to_string_lossy();
        let number = text.parse::<u32>().ok().and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0);
        number.ok_or_else(|| {
            let range = format!("write a number from 1 to {}", u32::MAX);
            Failure::Configuration(format!("{}: `{}` is no number of connections: {range}", setting.name, visible(&text)))
        })
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  printf 'GET /reports/7 HTTP/1.1\\nAuthorization: Bearer %s\\n\\n' \"$KEY\" | keyward explain --keys keys.jsonl
  keyward explain --policy policy.toml --peer 203.0.113.9 --now 2030-01-01T00:00:00Z --json < request.txt

Decides as `keyward serve` would, and changes nothing: without --database it looks into ./keyward.db if that is there. Exit status: 0 allowed, 1 denied, 2 for what is no HTTP request.")]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) deciding: Deciding,
    /// The address of the connection's other end
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) peer: IpAddr,
    /// The time of the decision, in RFC 3339; without it, now
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
    /// One JSON document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Tell everything that is wrong with a policy file, with line and mend
    Check(PolicyCheck),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward policy check policy.toml
  keyward policy check --json policy.toml
  envsubst < policy.toml.in | keyward policy check -

Each error is told as FILE:LINE: field: problem; mend, and so is, as a warning, what `keyward serve` accepts and does not carry
out. Configured keys are taken to be set. Exit status: 0 good, with or without warnings, 2 not.")]
pub(crate) struct PolicyCheck {
    /// The policy file; `-` is standard input
    pub(crate) file: PathBuf,
    /// One JSON document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check the hash chain of an audit file, and name the first line that is broken
    Verify(AuditVerify),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward audit verify audit.jsonl
  keyward audit verify audit.jsonl --key-file audit.key --expect 5f2c…
  zcat audit.jsonl.1.gz | keyward audit verify --json -

Prints how many lines there are and the hash of the last one. Keep that hash where whoever can write the file cannot, and give it
as --expect later: lines that were taken away at the end are seen by nothing else. Exit status: 0 whole, 1 broken, 2 wrong usage, 3 a
fault.")]
pub(crate) struct AuditVerify {
    /// The audit file; `-` is standard input
    pub(crate) file: PathBuf,
    /// The key of a keyed chain, in a file that only its owner can read [env: KEYWARD_AUDIT_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    key_file: Option<OsString>,
    /// The hash of a line that has to be there, like the last one's of an earlier day
    #[arg(long, value_name = "HASH")]
    pub(crate) expect: Vec<ChainHash>,
    /// One JSON document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

impl AuditVerify {
    pub(crate) fn key_file(&self) -> Option<Setting> {
        Setting::of(self.key_file.as_deref(), "--key-file", "KEYWARD_AUDIT_KEY_FILE")
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward generate
  keyward generate --prefix acme_live --count 10")]
pub(crate) struct Generate {
    /// What each key begins with
    #[arg(long, value_name = "PREFIX", default_value = "kw")]
    pub(crate) prefix: KeyPrefix,
    /// How many keys
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward scan .
  keyward scan src config.toml
  git diff --cached | keyward scan -

Finds keys of every prefix by their shape and checksum. Folders are searched with all that is below, but for .git,
symbolic links, and files that hold a NUL near their start. Exit status: 0 none found, 1 some found; if none was found, 2 where a
PATH is not there, 3 where something could not be read.")]
pub(crate) struct Scan {
    /// Files and folders; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

/// `HOST:PORT`; `:PORT` is on loopback, since listening to the world has to be asked for by name.
fn listen_address(text: &str) -> Result<String, &'static str> {
    let (host, port) = text.rsplit_once(':').ok_or("write HOST:PORT, like 127.0.0.1:8080 or [::1]:8080")?;
    port.parse::<u16>().map_err(|_| "the port is a number from 0 to 65535")?;
    // Asked of a name server, it would be told as a fault of the network.
    if !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && host.parse::<Ipv4Addr>().is_err() {
        return Err("an IPv4 address is four numbers from 0 to 255, like 127.0.0.1");
    }
    if let Some(bracketed) = host.strip_prefix('[')
        && bracketed.strip_suffix(']').is_none_or(|address| address.parse::<Ipv6Addr>().is_err())
    {
        return Err("what stands in brackets is an IPv6 address, like [::1]");
    }
    Ok(if host.is_empty() { format!("127.0.0.1:{port}") } else { text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn addresses_to_listen_on() {
        assert_eq!(listen_address(":0").unwrap(), "127.0.0.1:0");
        assert_eq!(listen_address("[::1]:80").unwrap(), "[::1]:80");
        for good in ["localhost:80", "0.0.0.0:80", "[::]:0", "3com.example:80", "1.example:80"] {
            assert_eq!(listen_address(good).unwrap(), good);
        }
        for bad in [
            "",
            "8080",
            "localhost",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "300.1.1.1:1",
            "127.1:80",
            "127.0.0.01:80",
            "1.2.3.4.5:80",
            "[::1:80",
            "[::1]x:80",
            "[127.0.0.1]:80",
            "[fe80::1%eth0]:80",
        ] {
            assert!(listen_address(bad).is_err(), "{bad}");
        }
    }
}
