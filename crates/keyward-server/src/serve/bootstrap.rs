//! The first key (R16): made once for a database, told once, with a command line that uses it.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::{Request, header};
use keyward::{Guard, Made, NewKey, Peer, SourceKind};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output::try_tell;

const SCOPES: [&str; 2] = ["keys:manage", "metrics:read"];

/// The name of the marker that says that it was made.
const ONCE: &str = "bootstrap";

/// Makes the key, unless it was made before for this database, and tells it: on standard error where only the operator reads that,
/// else in a file that only they can read.
pub(super) async fn make(configuration: &Configuration, guard: &Guard, address: SocketAddr) -> Result<(), Failure> {
    let mut new = NewKey::named("bootstrap key");
    for scope in SCOPES {
        new = new.scope(scope).map_err(|error| Failure::Fault(error.to_string()))?;
    }
    let keys = configuration.keys().acting_as("keyward serve");
    let made = keys.create_once(ONCE, new).await;
    let made = made.map_err(|error| Failure::Fault(format!("cannot make the bootstrap key: {error}")))?;
    let Some(made) = made else { return Ok(()) };
    let id = made.record().id;
    let lasts = configuration.database.lasts();
    // A key that was told to nobody is lost: unlike other lines, these have to arrive.
    tell(&made, lasts, guard, address).await.map_err(|problem| {
        let scopes = SCOPES.map(|scope| format!("--scope {scope}")).join(" ");
        let mend = if lasts {
            format!("it is made once for a database, so it is lost: end it by `keyward keys revoke {id}`, and make another by `keyward keys create --name bootstrap {scopes}`, both with the same --database")
        } else {
            "start again where that is possible, or give keys with `--keys`".to_owned()
        };
        Failure::Fault(format!("{problem}; {mend}"))
    })
}

async fn tell(made: &Made, lasts: bool, guard: &Guard, address: SocketAddr) -> Result<(), String> {
    let use_of_it = Use::of(guard, made, address).await;
    let (told, word) = if io::stderr().is_terminal() || address.ip().is_loopback() {
        let key = made.secret().expose();
        (format!("bootstrap key, shown this once: {key}"), Word::Key(key))
    } else {
        let file = write_file(made)?;
        (format!("the bootstrap key was written to {file}, which only its owner can read"), Word::File(file))
    };
    let life = if lasts { "stays until it is revoked" } else { "lives as long as this process" };
    let held = format!("it holds {}, and {life}", SCOPES.join(" and "));
    let used = match use_of_it {
        Ok(use_of_it) => format!("  {}", use_of_it.command(&word)),
        Err(problem) => problem,
    };
    try_tell(&[told, held, used].join("\n")).map_err(|error| format!("cannot show the bootstrap key on standard error: {error}"))
}

/// How a command line comes by the key.
enum Word<'k> {
    Key(&'k str),
    File(String),
}

impl Word<'_> {
    /// One word for a POSIX shell: `before`, and the key behind it.
    fn behind(&self, before: &str) -> String {
        match self {
            Self::Key(key) => quoted(&format!("{before}{key}")),
            Self::File(file) => format!("{}\"$(cat {file})\"", quoted(before)),
        }
    }
}

/// A new file, of mode 0600 where there are modes. Its name holds the key's id, so it never is there already.
fn write_file(made: &Made) -> Result<String, String> {
    let name = format!("keyward-bootstrap-{}.key", made.record().id);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&name).and_then(|mut file| {
        writeln!(file, "{}", made.secret().expose())?;
        file.sync_all()
    });
    written.map_err(|error| format!("cannot write the bootstrap key to {name}: {error}"))?;
    Ok(name)
}

/// One way to send the key that this policy accepts.
struct Use {
    place: Place,
    url: String,
}

/// Where the key goes, and what stands before it there.
enum Place {
    Header { name: String, before: String },
    Cookie { name: String },
    Query { parameter: String },
}

impl Place {
    fn of(kind: SourceKind, name: &str, scheme: Option<&str>) -> Option<Self> {
        Some(match kind {
            SourceKind::Bearer => Self::Header { name: "Authorization".to_owned(), before: "Bearer ".to_owned() },
            SourceKind::Header => {
                Self::Header { name: name.to_owned(), before: scheme.map(|scheme| format!("{scheme} ")).unwrap_or_default() }
            }
            SourceKind::Cookie => Self::Cookie { name: name.to_owned() },
            SourceKind::Query => Self::Query { parameter: utf8_percent_encode(name, NON_ALPHANUMERIC).to_string() },
            // curl makes no WebSocket handshake by itself.
            SourceKind::Subprotocol => return None,
        })
    }
}

impl Use {
    /// The first of the policy's sources by which the guard lets the key in; else why not. Asking charges nothing.
    async fn of(guard: &Guard, made: &Made, address: SocketAddr) -> Result<Self, String> {
        let peer = match address.ip() {
            IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            own => own,
        };
        let url = format!("http://{}/whoami", SocketAddr::new(peer, address.port()));
        let mut reason = None;
        for (kind, name, scheme) in guard.policy().sources() {
            let Some(place) = Place::of(kind, name, scheme) else { continue };
            let way = Self { place, url: url.clone() };
            let mut request = way.request(made.secret().expose()).map_err(|error| error.to_string())?;
            request.extensions_mut().insert(Peer(peer));
            let told = guard.explain(&request).await;
            if told.principal.is_some_and(|who| who.id == made.record().id.as_str()) {
                return Ok(way);
            }
            reason.get_or_insert(match told.denial {
                Some(kind) => format!("the policy does not let it in on /whoami: {kind}"),
                None => "on /whoami the policy lets everybody in and asks for no key".to_owned(),
            });
        }
        Err(reason.unwrap_or_else(|| "the policy looks for keys in no place that curl can fill".to_owned()))
    }

    fn request(&self, key: &str) -> Result<Request<()>, http::Error> {
        let request = Request::get(&self.url);
        match &self.place {
            Place::Header { name, before } => request.header(name, format!("{before}{key}")),
            Place::Cookie { name } => request.header(header::COOKIE, format!("{name}={key}")),
            Place::Query { parameter } => request.uri(format!("{}?{parameter}={key}", self.url)),
        }
        .body(())
    }

    fn command(&self, key: &Word<'_>) -> String {
        let url = quoted(&self.url);
        match &self.place {
            Place::Header { name, before } => format!("curl -H {} {url}", key.behind(&format!("{name}: {before}"))),
            Place::Cookie { name } => format!("curl -b {} {url}", key.behind(&format!("{name}="))),
            Place::Query { parameter } => format!("curl {}", key.behind(&format!("{}?{parameter}=", self.url))),
        }
    }
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
