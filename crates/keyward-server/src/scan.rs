//! `keyward scan`: generated keys left in files, found by their shape and checksum, whatever their prefix.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use keyward::key;
use walkdir::WalkDir;

use crate::arguments::Scan;
use crate::failure::Failure;
use crate::output::{self, tell, visible};

pub(crate) fn run(arguments: &Scan) -> Result<ExitCode, Failure> {
    let mut scan = Scanning { found: 0, missing: 0, unreadable: 0 };
    output::print(|out| arguments.paths.iter().try_for_each(|path| scan.path(path, out)))?;
    Ok(match scan {
        Scanning { found: 1.., .. } => ExitCode::FAILURE,
        Scanning { unreadable: 1.., .. } => ExitCode::from(3),
        Scanning { missing: 1.., .. } => ExitCode::from(2),
        _ => ExitCode::SUCCESS,
    })
}

struct Scanning {
    found: usize,
    /// Paths that were named and are not there.
    missing: usize,
    unreadable: usize,
}

impl Scanning {
    /// Fails only where the findings cannot be written.
    fn path(&mut self, path: &Path, out: &mut dyn Write) -> io::Result<()> {
        if path.as_os_str() == "-" {
            return self.read(path, io::stdin().lock(), out);
        }
        if let Err(error) = path.metadata()
            && error.kind() == io::ErrorKind::NotFound
        {
            self.missing += 1;
            tell(&Failure::unreadable(None, path, &error).to_string());
            return Ok(());
        }
        // What is named is looked at, links included; below it links are not followed.
        if path.is_file() || !path.is_dir() {
            return self.file(path, out);
        }
        let entries = WalkDir::new(path).sort_by_file_name().into_iter();
        for entry in entries.filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git") {
            match entry {
                Ok(entry) if entry.file_type().is_file() => self.file(entry.path(), out)?,
                Ok(_) => {}
                Err(error) => self.unreadable(error.path().unwrap_or(path), &error),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, out: &mut dyn Write) -> io::Result<()> {
        match File::open(path) {
            Ok(file) => self.read(path, file, out),
            Err(error) => {
                self.unreadable(path, &error);
                Ok(())
            }
        }
    }

    fn read(&mut self, path: &Path, input: impl Read, out: &mut dyn Write) -> io::Result<()> {
        let mut input = BufReader::with_capacity(64 * 1024, input);
        let mut finder = Finder::default();
        let mut is_start = true;
        loop {
            let bytes = match input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.unreadable(path, &error);
                    break;
                }
            };
            // The usual sign of a file that is no text, and as usual only its start is looked at.
            if bytes.is_empty() || (is_start && bytes.contains(&0)) {
                break;
            }
            is_start = false;
            for &byte in bytes {
                if let Some(found) = finder.next(byte) {
                    self.tell(path, &found, out)?;
                }
            }
            let read = bytes.len();
            input.consume(read);
        }
        match finder.end() {
            Some(found) => self.tell(path, &found, out),
            None => Ok(()),
        }
    }

    fn tell(&mut self, path: &Path, found: &Found, out: &mut dyn Write) -> io::Result<()> {
        self.found += 1;
        writeln!(out, "{}:{}: {}…", visible(&path.display().to_string()), found.line, found.shown)
    }

    fn unreadable(&mut self, path: &Path, error: &dyn std::fmt::Display) {
        self.unreadable += 1;
        tell(&format!("cannot read {}: {error}", visible(&path.display().to_string())));
    }
}

/// A key, as far as it may be shown.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    line: usize,
    shown: String,
}

/// Looks for `<prefix>_<secret><check>` in a stream of bytes, in constant memory: lines may be of any length.
#[derive(Debug, Default)]
struct Finder {
    /// Line ends so far.
    lines: usize,
    /// The last bytes before the current segment, its `_` included: as much as a prefix can be.
    before: Vec<u8>,
    /// Letters and digits since the last byte of another kind; one more than a key has says "too long".
    segment: Vec<u8>,
}

impl Finder {
    const LONGEST_PREFIX: usize = 32;
    const SECRET_AND_CHECK: usize = 38;

    /// The key that ended right before this byte.
    fn next(&mut self, byte: u8) -> Option<Found> {
        if byte.is_ascii_alphanumeric() {
            if self.segment.len() <= Self::SECRET_AND_CHECK {
                self.segment.push(byte);
            }
            return None;
        }
        let found = self.end();
        if byte == b'_' {
            self.before.append(&mut self.segment);
            self.before.push(b'_');
            let surplus = self.before.len().saturating_sub(Self::LONGEST_PREFIX + 1);
            self.before.drain(..surplus);
        } else {
            self.before.clear();
            self.segment.clear();
        }
        self.lines += usize::from(byte == b'\n');
        found
    }

    fn end(&self) -> Option<Found> {
        if self.segment.len() != Self::SECRET_AND_CHECK {
            return None;
        }
        let (before, segment) = (std::str::from_utf8(&self.before).ok()?, std::str::from_utf8(&self.segment).ok()?);
        // The longest prefix that can be read: what stands right before a key, like the `3D` of a `%3D`, may look like its part.
        let key = before
            .char_indices()
            .map(|(at, _)| format!("{}{segment}", &before[at..]))
            .find(|candidate| key::parse(candidate).is_some())?;
        Some(Found { line: self.lines + 1, shown: key::display_prefix(&key) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward::SystemRandom;

    fn find(text: &str) -> Vec<Found> {
        let mut finder = Finder::default();
        let mut found: Vec<Found> = text.bytes().filter_map(|byte| finder.next(byte)).collect();
        found.extend(finder.end());
        found
    }

    #[test]
    fn keys_are_found_wherever_they_stand() {
        let key = key::generate(&"acme_live".parse().unwrap(), &SystemRandom).unwrap();
        let key = key.expose();
        let shown = key::display_prefix(key);
        for text in [
            key.to_owned(),
            format!("KEY={key}\n"),
            format!("\"{key}\","),
            format!("/?api_key={key}&b=c"),
            format!("%3D{key}"),
            format!("X_{key}_old"),
            format!("{}_{key}", "A".repeat(100_000)),
        ] {
            assert_eq!(find(&text), [Found { line: 1, shown: shown.clone() }], "{text}");
        }
        let both = format!("\n{key} {key}\r\n\n{key}");
        assert_eq!(find(&both).iter().map(|found| found.line).collect::<Vec<_>>(), [2, 2, 4]);
    }

    #[test]
    fn what_only_looks_like_a_key_is_not_one() {
        let key = key::generate(&"acme".parse().unwrap(), &SystemRandom).unwrap();
        let key = key.expose();
        let (other, last) = (if key.ends_with('a') { 'b' } else { 'a' }, key.len() - 1);
        for text in [
            format!("{}{other}", &key[..last]),
            key[..last].to_owned(),
            format!("{key}a"),
            key["acme".len()..].to_owned(),
            key["acme_".len()..].to_owned(),
        ] {
            assert_eq!(find(&text), [], "{text}");
        }
    }
}
