//! The peppers of stored digests (R7.2), from a file that only its owner can read.
//!
//! A file, and not a flag or a variable: both can be read by others, or end up in a log.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use keyward::Secret;
use keyward::key::{Pepper, Peppers};

use crate::failure::Failure;
use crate::output::visible;
use crate::setting::Setting;

/// None: plain SHA-256, which is enough for generated keys.
pub(crate) fn read(setting: Option<&Setting>) -> Result<Peppers, Failure> {
    let Some(Setting { value, name }) = setting else { return Ok(Peppers::default()) };
    let file = Path::new(value);
    let text = read_private(name, file)?;
    let place = visible(&file.display().to_string()).into_owned();
    parse(text.expose()).map_err(|problems| {
        let told = problems.into_iter().map(|(line, problem)| match line {
            Some(line) => format!("{place}:{line}: {problem}"),
            None => format!("{place}: {problem}"),
        });
        Failure::Configuration(told.collect::<Vec<_>>().join("\n"))
    })
}

fn read_private(by: &str, file: &Path) -> Result<Secret, Failure> {
    let unreadable = |error| Failure::unreadable(Some(by), file, &error);
    let mut opened = File::open(file).map_err(unreadable)?;
    let about = opened.metadata().map_err(unreadable)?;
    if is_open_to_others(&about) {
        let path = visible(&file.display().to_string()).into_owned();
        return Err(Failure::Configuration(format!("{by}: others can read {path}, which holds secrets; `chmod 600` it")));
    }
    let mut text = String::new();
    opened.read_to_string(&mut text).map_err(unreadable)?;
    Ok(Secret::new(text))
}

#[cfg(unix)]
fn is_open_to_others(about: &std::fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(about) & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &std::fs::Metadata) -> bool {
    false
}

type Problem = (Option<usize>, String);

/// Lines of `VERSION SECRET`; what is behind a `#` at a line's start is a comment. No problem quotes a line.
fn parse(text: &str) -> Result<Peppers, Vec<Problem>> {
    let (mut peppers, mut problems) = (Vec::new(), Vec::new());
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    for (line, written) in lines.filter(|(_, written)| !written.is_empty() && !written.starts_with('#')) {
        let pepper =
            written.split_once(char::is_whitespace).and_then(|(version, secret)| Some((version.parse().ok()?, secret.trim())));
        match pepper.map(|(version, secret)| Pepper::new(version, secret.as_bytes())) {
            Some(Ok(pepper)) => peppers.push(pepper),
            Some(Err(error)) => problems.push((Some(line), error.to_string())),
            None => problems.push((Some(line), "write VERSION SECRET, the version a number from 1 to 65535".to_owned())),
        }
    }
    if problems.is_empty() && peppers.is_empty() {
        problems.push((
            None,
            "it holds no pepper; write a line of VERSION SECRET, like `1 ` and what `openssl rand -hex 32` prints".to_owned(),
        ));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Peppers::new(peppers).map_err(|error| vec![(None, error.to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_secrets_are_read() {
        let (first, second) = ("a".repeat(32), "b".repeat(64));
        let peppers = parse(&format!("# made in May\n\n1 {first}\n 2\t{second} \r\n")).unwrap();
        assert_eq!(peppers.digest(b"key").pepper(), 2);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_line_and_without_the_secret() {
        let canary = "CANARY".repeat(8);
        for (text, line) in [
            (canary.clone(), Some(1)),
            (format!("\none {canary}"), Some(2)),
            (format!("0 {canary}"), Some(1)),
            (format!("65536 {canary}"), Some(1)),
            ("1 CANARY".to_owned(), Some(1)),
            (format!("1 {canary}\n1 {canary}"), None),
            ("# CANARY".to_owned(), None),
        ] {
            let problems = parse(&text).unwrap_err();
            assert_eq!(problems[0].0, line, "{text}");
            assert!(problems.iter().all(|(_, problem)| !problem.contains("CANARY")), "{problems:?}");
        }
    }
}
