//! The peppers of stored digests (R7.2), from a file that only its owner can read.
//!
//! A file, and not a flag or a variable: both can be read by others, or end up in a log.

use std::path::Path;

use keyward::key::{Pepper, PepperMismatch, Peppers};

use crate::failure::Failure;
use crate::output::visible;
use crate::private_file;
use crate::setting::Setting;

/// What is read at most: more than 65,535 peppers of a usual length take.
const LARGEST: u64 = 8 * 1024 * 1024;

/// None: plain SHA-256, which is enough for generated keys.
pub(crate) fn read(setting: Option<&Setting>) -> Result<Peppers, Failure> {
    let Some(Setting { value, name }) = setting else { return Ok(Peppers::default()) };
    let file = Path::new(value);
    let text = private_file::read(name, file, LARGEST)?;
    let place = visible(&file.display().to_string()).into_owned();
    parse(text.expose()).map_err(|problems| {
        let told = problems.into_iter().map(|(line, problem)| match line {
            Some(line) => format!("{place}:{line}: {problem}"),
            None => format!("{place}: {problem}"),
        });
        Failure::Configuration(told.collect::<Vec<_>>().join("\n"))
    })
}

/// Digests in the database were made with other peppers than those that were read: told with the versions, and how to go on. Wrong
/// configuration, and no fault: as long as it stays so, good keys would be unknown.
pub(crate) fn do_not_fit(setting: Option<&Setting>, mismatch: &PepperMismatch) -> Failure {
    let PepperMismatch { missing, wrong, disputed, .. } = mismatch;
    let Some(Setting { value, name }) = setting else {
        let them = PepperMismatch::named(missing);
        return Failure::Configuration(format!(
            "keys in this database are stored with {them}, and no file of peppers was named: name it by --pepper-file or KEYWARD_PEPPER_FILE"
        ));
    };
    let file = visible(&Path::new(value).display().to_string()).into_owned();
    let mut problems = Vec::new();
    if let [first, ..] = missing[..] {
        let them = PepperMismatch::named(missing);
        problems.push(format!(
            "{name}: {file} does not have {them}, with which keys in this database are stored: put its line back; or, if it is gone for good, write the line `{first} retired`, and keys that are still stored with it are unknown from then on"
        ));
    }
    for version in wrong {
        problems.push(format!(
            "{name}: in {file}, pepper {version} is not the one with which keys in this database are stored: put the right secret back; a new one takes a new version"
        ));
    }
    for version in disputed {
        problems.push(format!(
            "{name}: pepper {version} of {file} had another secret elsewhere when it was first used, and no key is stored with either: give every file the same secret, in a line with a new version"
        ));
    }
    Failure::Configuration(problems.join("\n"))
}

type Problem = (Option<usize>, String);

/// Lines of `VERSION SECRET`, or `VERSION retired`; a line that begins with `#` is a comment. No problem quotes a line.
fn parse(text: &str) -> Result<Peppers, Vec<Problem>> {
    let (mut peppers, mut retired, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    for (line, written) in lines.filter(|(_, written)| !written.is_empty() && !written.starts_with('#')) {
        let pepper = written
            .split_once(char::is_whitespace)
            .and_then(|(version, secret)| Some((version.parse::<u16>().ok()?, secret.trim())));
        let mut problem = |problem: String| problems.push((Some(line), problem));
        match pepper {
            // Too short for a secret, so it is none.
            Some((version, "retired")) if version > 0 => retired.push(version),
            Some((_, secret)) if secret.split_whitespace().next() == Some("retired") && secret != "retired" => {
                problem("write nothing behind `retired`; a comment takes a line of its own, which begins with `#`".to_owned());
            }
            // It would be part of the secret without a word, here and not where the line is written otherwise.
            Some((_, secret)) if secret.contains(char::is_whitespace) => problem(
                "the secret has blanks in it: write it without; a comment takes a line of its own, which begins with `#`"
                    .to_owned(),
            ),
            Some((_, secret)) if is_quoted(secret) => problem("write the secret without quotes around it".to_owned()),
            Some((version, secret)) => match Pepper::new(version, secret.as_bytes()) {
                Ok(pepper) => peppers.push(pepper),
                Err(error) => problem(error.to_string()),
            },
            None => problem("write VERSION SECRET, the version a number from 1 to 65535".to_owned()),
        }
    }
    if problems.is_empty() && peppers.is_empty() && retired.is_empty() {
        problems.push((
            None,
            "it holds no pepper; write a line of VERSION SECRET, like `1 ` and what `openssl rand -hex 32` prints".to_owned(),
        ));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Peppers::new(peppers).and_then(|peppers| peppers.retired(retired)).map_err(|error| vec![(None, error.to_string())])
}

/// One at either end is enough: the other may have been lost.
fn is_quoted(secret: &str) -> bool {
    const QUOTES: [char; 3] = ['"', '\'', '`'];
    secret.starts_with(QUOTES) || secret.ends_with(QUOTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_secrets_are_read() {
        let (first, second) = ("a".repeat(32), "b".repeat(64));
        let peppers = parse(&format!("# made in May\n\n1 {first}\n 2\t{second} \r\n3 retired")).unwrap();
        assert_eq!(peppers.digest(b"key").pepper(), 2);
        assert_eq!(parse("1  retired \n").unwrap().digest(b"key").pepper(), 0);
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
            (format!("1 {canary}\n1 retired"), None),
            ("1 retired\n1 retired".to_owned(), None),
            ("0 retired".to_owned(), Some(1)),
            ("# CANARY".to_owned(), None),
        ] {
            let problems = parse(&text).unwrap_err();
            assert_eq!(problems[0].0, line, "{text}");
            assert!(problems.iter().all(|(_, problem)| !problem.contains("CANARY")), "{problems:?}");
        }
    }

    #[test]
    fn a_line_is_a_version_and_a_secret_and_nothing_else() {
        let canary = "CANARY".repeat(8);
        for (line, mend) in [
            (format!("1 {canary} # mine"), "begins with `#`"),
            (format!("1 {canary} {canary}"), "without"),
            (format!("1 \"{canary}\""), "without quotes"),
            (format!("1 '{canary}'"), "without quotes"),
            (format!("1 {canary}\""), "without quotes"),
            ("1 retired # gone".to_owned(), "nothing behind `retired`"),
        ] {
            let problems = parse(&format!("# of May\n{line}\n")).unwrap_err();
            assert_eq!((problems.len(), problems[0].0), (1, Some(2)), "{line}");
            assert!(problems[0].1.contains(mend) && !problems[0].1.contains("CANARY"), "{problems:?}");
        }
        assert_eq!(parse(&format!("  # 1 {canary}\n1 {canary}#")).unwrap().digest(b"key").pepper(), 1, "base64 and the like");
    }

    #[test]
    fn what_does_not_fit_is_told_with_versions_and_mend() {
        let (mut mismatch, store) = (None, keyward::MemoryStore::new());
        let peppers = |text: &str| parse(text).unwrap();
        let (first, other) = ("a".repeat(32), "b".repeat(32));
        let text = format!("1 {first}\n2 {first}\n3 {first}");
        for text in [format!("1 {first}"), format!("1 {first}\n2 {first}"), text] {
            let keys = keyward::Keys::new(store.clone()).peppers(peppers(&text));
            block_on(keys.note_peppers()).unwrap();
            mismatch = keyward::Keys::new(store.clone()).peppers(peppers(&format!("2 {other}"))).check_peppers().err();
        }
        let mismatch = mismatch.unwrap();
        let setting = Setting { value: "p".into(), name: "--pepper-file" };
        let told = do_not_fit(Some(&setting), &mismatch).to_string();
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[0].starts_with("--pepper-file: p does not have peppers 1 and 3, ") && lines[0].contains("`1 retired`"));
        assert!(lines[1].starts_with("--pepper-file: in p, pepper 2 is not the one ") && lines.len() == 2, "{told}");
        assert!(!told.contains(&first) && !told.contains(&other));
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }
}
