//! What may be crawled: the demo pages of this program, and nothing else.
//!
//! A server that fetches what clients name is a way into the network behind it. So no address is judged by what it is *not*: it has
//! to be, letter by letter, one of this origin, `http://127.0.0.1:PORT/demo/…`. Even an address that got past that would lead nowhere
//! else, since a connection is only ever made to the socket address that this program listens on: no name is looked up.
//!
//! Refused: a list of addresses that must not be fetched. Every such list was incomplete so far, and a name can mean another
//! address when it is looked up the second time.

use std::fmt;
use std::net::SocketAddr;

use url::Url;

/// Below it is what may be read.
const FOLDER: &str = "/demo/";

/// The pages, and where they are had.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    address: SocketAddr,
    origin: String,
}

impl Site {
    /// The pages of the program that listens there.
    pub(crate) fn served_at(address: SocketAddr) -> Self {
        Self { address, origin: format!("http://{address}") }
    }

    /// Where connections go, whatever a page's address says.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The page that a client names.
    ///
    /// Its address has to be spelled as a browser shows it: `http://0x7f.1:8000/demo/` and `http://127%2e0%2e0%2e1:8000/demo/` are
    /// other spellings of what would be let through, and nobody writes them who means no harm.
    pub(crate) fn page(&self, written: &str) -> Result<PageAddress, OffLimits> {
        let url = Url::parse(written).map_err(|_| OffLimits::NoAddress)?;
        match self.page_at(&url) {
            Ok(_) if url.as_str() != written => Err(OffLimits::Spelling),
            judged => judged,
        }
    }

    /// The page that a link leads to, as a browser on this page would understand it.
    pub(crate) fn linked(&self, from: &PageAddress, link: &str) -> Result<PageAddress, OffLimits> {
        let from = Url::parse(&from.0).map_err(|_| OffLimits::NoAddress)?;
        self.page_at(&from.join(link).map_err(|_| OffLimits::NoAddress)?)
    }

    /// `url` is in its normal form: escapes of host and dots are undone, and `..` is resolved.
    fn page_at(&self, url: &Url) -> Result<PageAddress, OffLimits> {
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.origin().ascii_serialization() != self.origin {
            return Err(OffLimits::Origin);
        }
        // No escapes: whoever serves the page need not undo them as we do.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
        if !url.path().starts_with(FOLDER) || !url.path().bytes().all(is_plain) || url.query().is_some() {
            return Err(OffLimits::Path);
        }
        Ok(PageAddress(format!("{}{}", self.origin, url.path())))
    }

    /// Of one of our pages.
    pub(crate) fn path<'p>(&self, page: &'p PageAddress) -> &'p str {
        page.0.strip_prefix(&self.origin).unwrap_or(FOLDER)
    }
}

/// The address of a page that may be read. Only [`Site`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PageAddress(String);

impl fmt::Display for PageAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an address is not fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OffLimits {
    NoAddress,
    Origin,
    Path,
    Spelling,
}

impl fmt::Display for OffLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAddress => "it is no address",
            Self::Origin => "it is on another server than the demo pages",
            Self::Path => "it is none of the demo pages",
            Self::Spelling => "write it as a browser shows it",
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn site() -> Site {
        Site::served_at(SocketAddr::from(([127, 0, 0, 1], 8000)))
    }

    /// Addresses that must never be fetched, by a program on port 8000. For other tests, too, which put other ports in.
    pub(crate) const FORBIDDEN: &[&str] = &[
        // Other ports.
        "http://127.0.0.1/demo/",
        "http://127.0.0.1:80/demo/",
        "http://127.0.0.1:8001/demo/",
        "http://127.0.0.1:800/demo/",
        "http://127.0.0.1:08000/demo/",
        "http://127.0.0.1:73536/demo/",
        "http://127.0.0.1:-8000/demo/",
        // Other hosts.
        "http://localhost:8000/demo/",
        "http://LOCALHOST:8000/demo/",
        "http://localhost.:8000/demo/",
        "http://example.com:8000/demo/",
        "http://127.0.0.2:8000/demo/",
        "http://0.0.0.0:8000/demo/",
        "http://10.0.0.1:8000/demo/",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1.evil:8000/demo/",
        "http://127.0.0.1.evil.example/demo/",
        "http://127.0.0.1.nip.io:8000/demo/",
        "http://evil-127.0.0.1:8000/demo/",
        "http://127.0.0.1.:8000/demo/",
        // IPv6.
        "http://[::1]:8000/demo/",
        "http://[::]:8000/demo/",
        "http://[::ffff:127.0.0.1]:8000/demo/",
        "http://[::ffff:7f00:1]:8000/demo/",
        "http://[::127.0.0.1]:8000/demo/",
        "http://[64:ff9b::7f00:1]:8000/demo/",
        "http://[fe80::1%25eth0]:8000/demo/",
        "http://[fd00:ec2::254]/demo/",
        "http://::1:8000/demo/",
        // The same host, otherwise spelled.
        "http://2130706433:8000/demo/",
        "http://0x7f000001:8000/demo/",
        "http://0x7f.1:8000/demo/",
        "http://0177.0.0.1:8000/demo/",
        "http://127.1:8000/demo/",
        "http://127.000.000.001:8000/demo/",
        "http://127%2e0%2e0%2e1:8000/demo/",
        "http://127%2E0.0.1:8000/demo/",
        "http://%31%32%37.0.0.1:8000/demo/",
        "http://127\u{3002}0\u{3002}0\u{3002}1:8000/demo/",
        "http://\u{2460}27.0.0.1:8000/demo/",
        // Schemes.
        "https://127.0.0.1:8000/demo/",
        "HTTP://127.0.0.1:8000/demo/",
        "ftp://127.0.0.1:8000/demo/",
        "ws://127.0.0.1:8000/demo/",
        "gopher://127.0.0.1:8000/demo/",
        "file:///demo/",
        "file:///etc/passwd",
        "data:text/html,<a href=/demo/>",
        "javascript:alert(1)",
        "blob:http://127.0.0.1:8000/demo/",
        "view-source:http://127.0.0.1:8000/demo/",
        "http:127.0.0.1:8000/demo/",
        "http:/127.0.0.1:8000/demo/",
        "http:///127.0.0.1:8000/demo/",
        "http:\\\\127.0.0.1:8000\\demo\\",
        "//127.0.0.1:8000/demo/",
        "127.0.0.1:8000/demo/",
        // Users, and what looks like one.
        "http://user@127.0.0.1:8000/demo/",
        "http://user:secret@127.0.0.1:8000/demo/",
        "http://:@127.0.0.1:8000/demo/",
        "http://@127.0.0.1:8000/demo/",
        "http://127.0.0.1:8000@evil.example/demo/",
        "http://127.0.0.1:8000:secret@evil.example/demo/",
        "http://evil.example#@127.0.0.1:8000/demo/",
        "http://evil.example\\@127.0.0.1:8000/demo/",
        "http://evil.example/@127.0.0.1:8000/demo/",
        "http://evil.example?http://127.0.0.1:8000/demo/",
        // Our own server, and none of the pages.
        "http://127.0.0.1:8000",
        "http://127.0.0.1:8000/",
        "http://127.0.0.1:8000/demo",
        "http://127.0.0.1:8000/DEMO/",
        "http://127.0.0.1:8000//demo/",
        "http://127.0.0.1:8000/health",
        "http://127.0.0.1:8000/auth/token",
        "http://127.0.0.1:8000/demo/../health",
        "http://127.0.0.1:8000/demo/%2e%2e/health",
        "http://127.0.0.1:8000/demo/.%2E/health",
        "http://127.0.0.1:8000/demo/..%2fhealth",
        "http://127.0.0.1:8000/demo/%252e%252e/health",
        "http://127.0.0.1:8000/demo/..\\health",
        "http://127.0.0.1:8000/demo/index.html?api_key=x",
        "http://127.0.0.1:8000/demo/?",
        "http://127.0.0.1:8000/demo/\u{e4}",
        // Not spelled as a browser shows it.
        " http://127.0.0.1:8000/demo/",
        "http://127.0.0.1:8000/demo/ ",
        "\u{1}http://127.0.0.1:8000/demo/",
        "ht\ntp://127.0.0.1:8000/demo/",
        "http://127.0.0.1:8000/de\tmo/",
        "http://127.0.0.1:8000/demo/./",
        "http://127.0.0.1:8000/x/../demo/",
        "http://127.0.0.1:8000\\demo\\",
        "http://127.0.0.1:8000/demo/\r\nX: y",
        "http://127.0.0.1:8000/demo/\0",
        "",
        "demo",
        "/demo/",
        "index.html",
    ];

    #[test]
    fn nothing_but_the_pages_can_be_named() {
        for address in FORBIDDEN {
            assert!(site().page(address).is_err(), "{address:?}");
        }
        for address in ["http://127.0.0.1:8000/demo/", "http://127.0.0.1:8000/demo/a/b-c_d.html"] {
            assert_eq!(site().page(address).unwrap().to_string(), address);
        }
    }

    #[test]
    fn links_are_read_as_by_browsers() {
        let from = site().page("http://127.0.0.1:8000/demo/guides/first.html").unwrap();
        for (link, path) in [
            ("second.html", Some("/demo/guides/second.html")),
            ("second.html#part", Some("/demo/guides/second.html")),
            ("#part", Some("/demo/guides/first.html")),
            ("", Some("/demo/guides/first.html")),
            ("../index.html", Some("/demo/index.html")),
            ("./../", Some("/demo/")),
            ("/demo/x", Some("/demo/x")),
            (" \n/demo/x", Some("/demo/x")),
            ("http://127.0.0.1:8000/demo/x", Some("/demo/x")),
            ("..", Some("/demo/")),
            ("../..", None),
            ("../../health", None),
            ("%2e%2e/%2e%2e/health", None),
            ("..\\..\\health", None),
            ("/health", None),
            ("/auth/token", None),
            ("?api_key=x", None),
            ("//127.0.0.1:8001/demo/", None),
            ("//localhost:8000/demo/", None),
            ("//user@127.0.0.1:8000/demo/", None),
            ("\\\\evil.example/demo/", None),
            ("/\\evil.example/demo/", None),
            ("/\t/evil.example/demo/", None),
            ("https:x", None),
            ("https://127.0.0.1:8000/demo/", None),
            ("mailto:somebody@example.com", None),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("//[::1", None),
        ] {
            let found = site().linked(&from, link).ok();
            assert_eq!(found.as_ref().map(|page| site().path(page).to_owned()).as_deref(), path, "{link:?}");
        }
    }

    /// A link may be spelled as its author likes, and never leads to another server.
    #[test]
    fn no_forbidden_address_is_reached_by_a_link() {
        let from = site().page("http://127.0.0.1:8000/demo/").unwrap();
        for link in FORBIDDEN {
            if let Ok(page) = site().linked(&from, link) {
                assert!(page.to_string().starts_with("http://127.0.0.1:8000/demo/"), "{link:?}: {page}");
                assert!(!page.to_string().contains(['%', '\\', '?', '@']), "{link:?}: {page}");
            }
        }
    }
}
