//! Worlds and requests as text: what a person can write down, a fuzzer can tear apart, and a dictionary can help with.
//!
//! ```text
//! --- policy
//! resolution = "first-valid"
//! --- keys
//! {"key":"alpha"}
//! --- environment
//! ROOT_KEY=root
//! --- request from 127.0.0.1 after 5s
//! GET /a
//! X-API-Key: alpha
//! ```
//!
//! Only requests are taken as bytes; what cannot be read is left out, so that nearly every input means something.

use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr};

use crate::{
    generate::{Asked, World},
    model::{
        key::ModelKey,
        policy::ModelPolicy,
        request::ModelRequest,
        time::{Moment, SECOND},
    },
};

/// Decisions in one input: enough to spend a quota, few enough to be fast.
const MOST_STEPS: usize = 16;

/// Keys in one input.
const MOST_KEYS: usize = 16;

/// The longest wait between two requests, so that no sum of them leaves the clock's range.
const LONGEST_WAIT: Moment = 366 * 86_400 * SECOND;

/// Reads a world; `None` where the policy or a key is none that the model knows.
pub fn world(data: &[u8]) -> Option<World> {
    let mut policy = ModelPolicy::default();
    let mut keys = Vec::new();
    let mut environment = BTreeMap::new();
    let mut steps = Vec::new();
    for section in sections(data) {
        let mut words = section.title.split(' ');
        match words.next() {
            Some("policy") => policy = ModelPolicy::from_toml(std::str::from_utf8(section.body).ok()?).ok()?,
            Some("keys") => {
                let lines = std::str::from_utf8(section.body).ok()?.lines().filter(|line| !line.is_empty());
                keys = lines.map(ModelKey::from_json_line).collect::<Result<_, _>>().ok()?;
            }
            Some("environment") => {
                let lines = std::str::from_utf8(section.body).ok()?.lines();
                environment.extend(
                    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())),
                );
            }
            Some("request") if steps.len() < MOST_STEPS => {
                let (peer, wait) = circumstances(words);
                steps.push(Asked { wait, happenings: Vec::new(), request: request(section.body, peer) });
            }
            _ => {}
        }
    }
    (keys.len() <= MOST_KEYS).then_some(World { policy, keys, environment, steps })
}

/// Writes a world, so that [`world`] reads it back: as far as it can be written in lines.
pub fn text(world: &World) -> Vec<u8> {
    let mut text = format!("--- policy\n{}--- keys\n", world.policy.to_toml()).into_bytes();
    for key in &world.keys {
        text.extend_from_slice(format!("{}\n", key.to_json_line()).as_bytes());
    }
    if !world.environment.is_empty() {
        text.extend_from_slice(b"--- environment\n");
    }
    for (name, value) in &world.environment {
        text.extend_from_slice(format!("{name}={value}\n").as_bytes());
    }
    for step in &world.steps {
        let mut title = "--- request".to_owned();
        if let Some(peer) = step.request.peer {
            let _ = write!(title, " from {peer}");
        }
        match step.wait {
            0 => {}
            whole if whole % SECOND == 0 => drop(write!(title, " after {}s", whole / SECOND)),
            other => drop(write!(title, " after {other}ns")),
        }
        text.extend_from_slice(format!("{title}\n{} ", step.request.method).as_bytes());
        text.extend_from_slice(&step.request.target);
        text.push(b'\n');
        for (name, value) in &step.request.headers {
            text.extend_from_slice(format!("{name}: ").as_bytes());
            text.extend_from_slice(value);
            text.push(b'\n');
        }
    }
    text
}

/// A part of an input, under a line that begins with `--- `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'d> {
    /// What follows the dashes.
    pub title: &'d str,
    /// The lines below, each with its end.
    pub body: &'d [u8],
}

/// The sections of an input. What stands before the first title is in none.
pub fn sections(data: &[u8]) -> Vec<Section<'_>> {
    let mut sections: Vec<(&str, usize, usize)> = Vec::new();
    let mut at = 0;
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if let Some(title) = line.strip_prefix(b"--- ") {
            let title = title.strip_suffix(b"\n").unwrap_or(title);
            sections.push((std::str::from_utf8(title).unwrap_or_default(), at, at));
        } else if let Some((_, _, end)) = sections.last_mut() {
            *end = at;
        }
    }
    sections.into_iter().map(|(title, start, end)| Section { title, body: &data[start..end] }).collect()
}

/// Reads a request: a method and a target, then header lines. Lines without a colon are left out.
pub fn request(text: &[u8], peer: Option<IpAddr>) -> ModelRequest {
    let mut lines = text.split(|byte| *byte == b'\n');
    let request_line = lines.next().unwrap_or_default();
    let (method, target) = cut(request_line, b' ').unwrap_or((request_line, b"/"));
    let headers = lines
        .filter_map(|line| cut(line, b':'))
        .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.strip_prefix(b" ").unwrap_or(value).to_vec()))
        .collect();
    let method = String::from_utf8_lossy(method).into_owned();
    ModelRequest { method, target: target.to_vec(), headers, body: Vec::new(), peer }
}

/// Whether types of `http` keep a target as it came. They cut a fragment off, and take what is no scheme for one (`://a/b`),
/// before any guard or router sees it.
pub fn is_kept(target: &[u8]) -> bool {
    let is_scheme = |scheme: &[u8]| {
        let rest = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().all(rest)
    };
    let scheme = target.windows(3).position(|window| window == b"://").map(|end| &target[..end]);
    !target.contains(&b'#') && (target.starts_with(b"/") || scheme.is_none_or(is_scheme))
}

fn cut(line: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = line.iter().position(|byte| *byte == at)?;
    Some((&line[..place], &line[place + 1..]))
}

/// Who asks, and how much later: `from 127.0.0.1 after 5s`.
fn circumstances<'w>(mut words: impl Iterator<Item = &'w str>) -> (Option<IpAddr>, Moment) {
    let (mut peer, mut wait) = (None, 0);
    while let Some(word) = words.next() {
        match word {
            "from" => peer = words.next().and_then(|word| word.parse().ok()),
            "after" => wait = words.next().and_then(duration).unwrap_or(0),
            _ => {}
        }
    }
    (peer, wait)
}

fn duration(written: &str) -> Option<Moment> {
    let digits = written.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = written.split_at(digits);
    let unit = match unit {
        "ns" => 1,
        "s" => SECOND,
        _ => return None,
    };
    number.parse::<Moment>().ok()?.checked_mul(unit).map(|wait| wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_reads_back_the_same() {
        let text_of = b"--- policy
resolution = \"first-valid\"

[access]
realm = \"api\"
--- keys
{\"key\":\"alpha\"}
--- environment
ROOT_KEY=root
--- request from 127.0.0.1
GET /a?b
X-API-Key: al:pha
--- request after 5s
OPTIONS *
--- request from ::1 after 7ns
GET /\xff
";
        let world = world(text_of).unwrap();
        assert_eq!(world.steps.len(), 3);
        assert_eq!(world.steps[1].wait, 5 * SECOND);
        assert_eq!(world.steps[0].request.values("X-API-Key"), [b"al:pha"]);
        assert_eq!(String::from_utf8_lossy(&text(&world)), String::from_utf8_lossy(text_of));
    }

    #[test]
    fn targets_that_are_kept() {
        for (target, kept) in [
            ("/a?b", true),
            ("/a://b", true),
            ("http://a/b", true),
            ("*", true),
            ("/a#b", false),
            ("://a/b", false),
            ("1://a", false),
            ("a~b://c", false),
        ] {
            assert_eq!(is_kept(target.as_bytes()), kept, "{target}");
        }
    }

    #[test]
    fn nonsense_is_left_out() {
        assert!(world(b"").unwrap().steps.is_empty());
        assert!(world(b"--- policy\nrubbish = 1\n").is_none());
        assert!(world(b"--- keys\n{}\n").is_none());
        let world = world(b"--- request from nowhere after 9y\nGET\nno colon").unwrap();
        assert_eq!((world.steps[0].wait, world.steps[0].request.peer), (0, None));
        assert_eq!(world.steps[0].request.target, b"/");
        assert!(world.steps[0].request.headers.is_empty());
        assert_eq!(sections(b"lost\n--- \xff\nx").len(), 1);
    }
}
