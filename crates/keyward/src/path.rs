//! The path that rules see (R1.2), and the patterns it is held against (R1.3).
//!
//! Routers disagree about odd spellings of a path, and where a rule and a router disagree, the rule is passed by. So a path
//! whose meaning depends on the reader is refused, and what is left has one spelling:
//!
//! 1. The target has a path that starts with `/`, or is `*` with `OPTIONS`; all of it is ASCII.
//! 2. Percent-encoded unreserved characters (RFC 3986 §2.3) are decoded, once.
//! 3. If the policy has any path rule: no `.` or `..` segment, no empty segment but a last one, no `\`, and no encoded `/`,
//!    `\` or NUL; dots before a `;` count as dots. A raw `\` is refused too, though R1.2 names the encoded one: servers behind a proxy read it as `/`.
//! 4. A trailing `/` counts as none.
//! 5. Routes are held against what other servers make of it as well: those that decode everything, and those that cut
//!    parameters off segments (see [`RulePath::other_readings`]).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A path in its one spelling.
#[derive(Debug, Clone)]
pub(crate) struct RulePath<'r> {
    /// Decoded, without a trailing `/`. The root is empty.
    decoded: Cow<'r, str>,
    /// As sent, without a trailing `/`.
    sent: &'r str,
}

/// The target cannot be read in one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AmbiguousPath;

impl<'r> RulePath<'r> {
    pub(crate) fn read(method: &str, path: &'r str, query: Option<&str>, has_path_rules: bool) -> Result<Self, AmbiguousPath> {
        let in_a_form = path.starts_with('/') || (path == "*" && method == "OPTIONS");
        if !in_a_form || !path.is_ascii() || !query.is_none_or(str::is_ascii) {
            return Err(AmbiguousPath);
        }
        let sent = path.strip_suffix('/').unwrap_or(path);
        if !has_path_rules {
            return Ok(Self { decoded: Cow::Borrowed(sent), sent });
        }
        let decoded = decode_unreserved(sent)?;
        let mut segments = decoded.split('/');
        // What stands before the first `/` is always empty.
        segments.next();
        // Some servers cut parameters (`;x`) off a segment before they resolve dots.
        let is_dots = |segment: &str| {
            // The first of them: `..%3b;` has its dots before both.
            let cut = [";", "%3b", "%3B"].iter().filter_map(|mark| segment.find(mark)).min().unwrap_or(segment.len());
            matches!(&segment[..cut], "" | "." | "..")
        };
        if decoded.contains('\\') || segments.any(is_dots) {
            return Err(AmbiguousPath);
        }
        Ok(Self { decoded, sent })
    }

    /// What servers may see that decode reserved characters too (`/reports%3Apurge`), and what those do that then cut `;x` off
    /// each segment. Nothing for a path that has neither.
    pub(crate) fn other_readings(&self) -> impl Iterator<Item = Vec<u8>> {
        let decoded = self.decoded.contains(['%', ';']).then(|| decode_all(&self.decoded));
        let cut = decoded.as_deref().map(|decoded| {
            let segments = decoded.split(|byte| *byte == b'/');
            segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default()).collect::<Vec<_>>().join(&b'/')
        });
        decoded.into_iter().chain(cut)
    }
}

fn decode_all(path: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(path).collect()
}

fn decode_unreserved(path: &str) -> Result<Cow<'_, str>, AmbiguousPath> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(b'/' | b'\\' | 0) => return Err(AmbiguousPath),
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                decoded.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            _ => {
                decoded.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    decoded.push_str(rest);
    Ok(Cow::Owned(decoded))
}

/// Paths of requests (R1.3): `/x` is that path, `/x/*` everything below `/x/`, and not `/x` itself.
///
/// ```
/// use keyward::PathPattern;
///
/// let pattern: PathPattern = "/reports/*".parse()?;
/// assert_eq!(pattern.to_string(), "/reports/*");
/// assert!("reports".parse::<PathPattern>().is_err());
/// # Ok::<(), keyward::BadPathPattern>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern(Pattern);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(Box<str>),
    /// Up to and with the last `/`.
    Below(Box<str>),
}

/// What was written is no pattern of paths. Repeats nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}: {mend}")]
pub struct BadPathPattern {
    pub(crate) problem: &'static str,
    pub(crate) mend: &'static str,
}

impl FromStr for PathPattern {
    type Err = BadPathPattern;

    fn from_str(text: &str) -> Result<Self, BadPathPattern> {
        let bad = |problem, mend| Err(BadPathPattern { problem, mend });
        if !text.starts_with('/') {
            return bad("does not start with `/`", "write the whole path, like \"/reports/*\"");
        }
        let (path, below) = match text.strip_suffix("/*") {
            Some(path) => (path, true),
            None => (text.strip_suffix('/').unwrap_or(text), false),
        };
        if path.contains('*') {
            return bad("has a `*` that is not its last segment", "only a whole last segment can be `*`: \"/reports/*\"");
        }
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte));
        match RulePath::read("GET", if path.is_empty() { "/" } else { path }, None, true) {
            Ok(read) if plain && read.decoded == path => {}
            _ => {
                return bad(
                    "is not in its plain spelling",
                    "leave out `.`, `..` and empty segments, queries, and percent-encoded letters and digits",
                );
            }
        }
        Ok(Self(if below { Pattern::Below(format!("{path}/").into()) } else { Pattern::Exact(path.into()) }))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Exact(path) if path.is_empty() => f.write_str("/"),
            Pattern::Exact(path) => f.write_str(path),
            Pattern::Below(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl PathPattern {
    pub(crate) fn matches(&self, path: &RulePath<'_>) -> bool {
        self.holds(&path.decoded)
    }

    /// For open paths: an odd spelling of an open path is guarded.
    pub(crate) fn matches_as_sent(&self, path: &RulePath<'_>) -> bool {
        self.holds(path.sent)
    }

    /// Whether it matches one of the [`RulePath::other_readings`], which are decoded as a whole.
    pub(crate) fn matches_reading(&self, reading: &[u8]) -> bool {
        match &self.0 {
            Pattern::Exact(exact) => decode_all(exact) == reading,
            Pattern::Below(prefix) => reading.strip_prefix(&decode_all(prefix)[..]).is_some_and(|below| !below.is_empty()),
        }
    }

    fn holds(&self, path: &str) -> bool {
        match &self.0 {
            Pattern::Exact(exact) => **exact == *path,
            Pattern::Below(prefix) => path.len() > prefix.len() && path.starts_with(&**prefix),
        }
    }

    /// Whether it is `/*`.
    pub(crate) fn covers_everything(&self) -> bool {
        matches!(&self.0, Pattern::Below(prefix) if &**prefix == "/")
    }

    /// Whether everything that `other` matches is matched by this pattern too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Pattern::Exact(this), Pattern::Exact(that)) => this == that,
            (Pattern::Below(this), Pattern::Below(that)) => that.starts_with(&**this),
            (Pattern::Below(_), Pattern::Exact(that)) => self.holds(that),
            (Pattern::Exact(_), Pattern::Below(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<String> {
        RulePath::read("GET", path, None, true).ok().map(|path| path.decoded.into_owned())
    }

    #[test]
    fn one_spelling_or_none() {
        for (path, expected) in [
            ("/reports/1", Some("/reports/1")),
            ("/reports/", Some("/reports")),
            ("/", Some("")),
            ("/%72eports", Some("/reports")),
            ("/%2572eports", Some("/%2572eports")),
            ("/a%20b", Some("/a%20b")),
            ("/a%2Fb", None),
            ("/a%5cb", None),
            ("/a\\b", None),
            ("/a%00", None),
            ("/a/../b", None),
            ("/a/%2e%2E/b", None),
            ("/./a", None),
            ("//a", None),
            ("/a//", None),
            ("//", None),
            ("", None),
            ("healthz", None),
            ("/ä", None),
            ("/%zz", Some("/%zz")),
            ("/%2", Some("/%2")),
        ] {
            assert_eq!(read(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn other_servers_read_it_otherwise() {
        let readings = |path| RulePath::read("GET", path, None, true).unwrap().other_readings().collect::<Vec<_>>();
        assert!(readings("/reports/1").is_empty() && readings("/%72eports").is_empty());
        assert_eq!(readings("/a%3Ab;c/d"), [&b"/a:b;c/d"[..], b"/a:b/d"]);
        assert_eq!(readings("/a%3Bb/%2541"), [&b"/a;b/%41"[..], b"/a/%41"], "decoded once");
        let pattern = "/caf%C3%A9/*".parse::<PathPattern>().unwrap();
        assert!(pattern.matches_reading("/café/x".as_bytes()) && !pattern.matches_reading("/café/".as_bytes()));
    }

    #[test]
    fn without_path_rules_only_the_form_counts() {
        assert!(RulePath::read("GET", "/a/../b", None, false).is_ok());
        assert!(RulePath::read("GET", "*", None, false).is_err());
        assert!(RulePath::read("OPTIONS", "*", None, false).is_ok());
        assert!(RulePath::read("GET", "/", Some("ä"), false).is_err());
    }

    #[test]
    fn below_is_not_itself() {
        let pattern = "/x/*".parse::<PathPattern>().unwrap();
        let matches = |path| pattern.matches(&RulePath::read("GET", path, None, true).unwrap());
        assert!(matches("/x/y"));
        assert!(matches("/x/y/z"));
        assert!(matches("/%78/y"));
        assert!(!matches("/x"));
        assert!(!matches("/x/"));
        assert!(!matches("/xy"));
        assert!(!pattern.matches_as_sent(&RulePath::read("GET", "/%78/y", None, true).unwrap()));
    }

    #[test]
    fn patterns_that_could_never_match_are_refused() {
        for pattern in ["x", "/x/*/y", "/x*", "/a//b", "/a/../b", "/%61", "/a?b", "/a b", "/ä"] {
            assert!(pattern.parse::<PathPattern>().is_err(), "{pattern}");
        }
        for (pattern, told) in [("/", "/"), ("/*", "/*"), ("/x", "/x"), ("/x/", "/x"), ("/x/*", "/x/*"), ("/a%20b", "/a%20b")] {
            assert_eq!(pattern.parse::<PathPattern>().unwrap().to_string(), told);
        }
    }
}
