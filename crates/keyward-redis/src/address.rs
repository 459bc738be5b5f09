//! Where the server is, and a connection to it.

use std::io;
use std::sync::Arc;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::failure::Failure;
use crate::open::{OpenError, OpenErrorKind};

/// Where the server is, and who we are to it. It has no `Debug`, since it may hold a password.
pub(crate) struct Address {
    place: ConnectionAddr,
    tls: Option<Arc<Tls>>,
    pub(crate) login: RedisConnectionInfo,
}

/// What a connection is made of.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Address {
    /// `authorities`: the certificates that vouch for the server, in place of the system's.
    pub(crate) fn read(url: &str, authorities: Option<&[u8]>) -> Result<Self, OpenError> {
        // The driver's own TLS is not used: it reads the system's certificates anew for each connection, refuses to work where
        // one of them is broken, and panics where the program was linked with two cryptographic providers.
        let plain = [("rediss://", "redis://"), ("valkeys://", "valkey://")]
            .iter()
            .find_map(|(secure, plain)| Some(format!("{plain}{}", url.strip_prefix(secure)?)));
        let tls = match (&plain, authorities) {
            (Some(_), authorities) => Some(Arc::new(Tls::new(authorities)?)),
            (None, Some(_)) => return Err(bad_address("certificates are for TLS: write rediss:// in place of redis://")),
            (None, None) => None,
        };
        if url.contains('#') {
            return Err(bad_address("an address has no `#`, and certificates are always verified: write %23 in a password"));
        }
        // The error would tell pieces of what cannot be read, and one of them may be the password.
        let read = plain.as_deref().unwrap_or(url).into_connection_info();
        let read = read.map_err(|_| {
            let wrong = unreadable_part(url);
            bad_address(&format!(
                "{wrong}. Write redis://USER:PASSWORD@HOST:PORT/DATABASE, and what is no letter or digit in the password as %XX"
            ))
        })?;
        Ok(Self { place: read.addr().clone(), tls, login: read.redis_settings().clone() })
    }

    /// What to look at where nothing comes of connecting.
    pub(crate) fn check(&self, has_been_there: bool) -> &'static str {
        match &self.tls {
            _ if has_been_there => "check the network, its load, and whether it runs",
            Some(_) => {
                "check the address, the network, its load, and whether its port speaks TLS: rediss:// is with it, redis:// without"
            }
            None => {
                "check the address, the network, its load, and whether its port wants TLS: rediss:// is with it, redis:// without"
            }
        }
    }

    pub(crate) async fn connect(&self) -> Result<Box<dyn Wire>, Failure> {
        self.try_connect().await.map_err(|error| Failure::of_socket(&error))
    }

    async fn try_connect(&self) -> io::Result<Box<dyn Wire>> {
        match (&self.place, &self.tls) {
            (ConnectionAddr::Tcp(host, port), tls) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                match tls {
                    Some(tls) => tls.connect(host, stream).await,
                    None => Ok(Box::new(stream)),
                }
            }
            #[cfg(unix)]
            (ConnectionAddr::Unix(path), None) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "no such kind of connection here")),
        }
    }
}

/// Which part it may be, told without repeating any of it.
fn unreadable_part(url: &str) -> &'static str {
    let Some((scheme, rest)) = url.split_once("://") else { return "it has no scheme" };
    if !["redis", "rediss", "valkey", "valkeys", "redis+unix", "valkey+unix", "unix"].contains(&scheme) {
        return "its scheme is none of redis, rediss, valkey, valkeys and redis+unix";
    }
    let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
    let host_and_port = place.rsplit_once('@').map_or(place, |(_, place)| place);
    // An IPv6 address has colons of its own, within brackets.
    let (host, port) = match host_and_port.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (host_and_port, None),
    };
    if host.is_empty() {
        return "it names no host, or its password has a character that has to be written otherwise";
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return "its port is no number up to 65535, or its password has a character that has to be written otherwise";
    }
    if !database.is_empty() && database.parse::<u32>().is_err() {
        return "what follows its host is no number of a database";
    }
    "a part of it cannot be read"
}

fn bad_address(mend: &str) -> OpenError {
    OpenError::new(OpenErrorKind::Address, format!("the address of Redis cannot be used: {mend}"))
}

#[cfg(feature = "tls")]
use tls::Tls;

#[cfg(feature = "tls")]
mod tls {
    use std::io;
    use std::sync::Arc;

    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::crypto::ring::default_provider;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::{OpenError, Wire, bad_address};

    pub(super) struct Tls(TlsConnector);

    impl Tls {
        pub(super) fn new(authorities: Option<&[u8]>) -> Result<Self, OpenError> {
            let mut roots = RootCertStore::empty();
            match authorities {
                Some(pem) => {
                    for certificate in CertificateDer::pem_slice_iter(pem) {
                        let certificate = certificate.map_err(|error| {
                            bad_address(&format!("the certificates given for it cannot be read ({error}): give them as PEM"))
                        })?;
                        roots
                            .add(certificate)
                            .map_err(|error| bad_address(&format!("a certificate given for it cannot be used: {error}")))?;
                    }
                }
                // One that is broken takes nothing from the others.
                None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
            }
            if roots.is_empty() {
                return Err(bad_address(
                    "no certificate is known that could vouch for it: install the system's (ca-certificates), or give its own",
                ));
            }
            // Our own provider, and no default of the process, which a program may have chosen, or forgotten to.
            let configuration = ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| bad_address(&error.to_string()))?
                .with_root_certificates(roots)
                .with_no_client_auth();
            Ok(Self(TlsConnector::from(Arc::new(configuration))))
        }

        pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<Box<dyn Wire>> {
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            Ok(Box::new(self.0.connect(name, stream).await?))
        }
    }
}

#[cfg(not(feature = "tls"))]
struct Tls;

#[cfg(not(feature = "tls"))]
impl Tls {
    fn new(_: Option<&[u8]>) -> Result<Self, OpenError> {
        Err(bad_address("TLS needs this crate's feature `tls`"))
    }

    async fn connect(&self, _: &str, _: TcpStream) -> io::Result<Box<dyn Wire>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "TLS needs this crate's feature `tls`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named_and_not_repeated() {
        for (url, part) in [
            ("127.0.0.1:6379", "no scheme"),
            ("http://127.0.0.1:6379", "scheme is none of"),
            ("redis://", "names no host"),
            ("redis://:canary@:6379", "names no host"),
            ("redis://:canary@host:65536", "port is no number"),
            ("redis://:canary@host:63x9/0", "port is no number"),
            ("redis://:cana/ry@host:6379", "names no host"),
            ("redis://:canary@host:6379/first", "no number of a database"),
            ("redis://:canary@host/-1/x", "no number of a database"),
            ("redis://:%ff@host/0", "a part of it"),
        ] {
            let Err(error) = Address::read(url, None) else { panic!("{url} was read") };
            let text = error.to_string();
            assert!(text.contains(part) && !text.contains("cana") && !text.contains("ry@"), "{url}: {text}");
        }
    }
}
