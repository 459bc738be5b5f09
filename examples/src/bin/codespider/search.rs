//! Looking for a question's words in the lines of files: each line scores by the words that it shares with the question, and rare
//! words count for more.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::workspace::File;

/// A line that has something to do with the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Hit {
    pub(crate) file: &'static str,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) text: &'static str,
}

/// What comes of a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The words that were looked for.
    pub(crate) words: Vec<String>,
    /// The best lines, the best one first.
    pub(crate) hits: Vec<Hit>,
}

/// More than these say nothing more, and cost as much again.
const MOST_WORDS: usize = 16;
const MOST_HITS: usize = 8;

/// What stands in every question, and tells none from another.
const STOP_WORDS: [&str; 44] = [
    "about", "after", "and", "any", "are", "be", "been", "by", "can", "could", "did", "do", "does", "for", "from", "has", "have",
    "how", "in", "is", "it", "its", "me", "my", "not", "of", "on", "or", "should", "that", "the", "there", "this", "to", "was",
    "what", "when", "where", "which", "who", "why", "with", "would", "you",
];

/// The lines of these files that share the most with a question. The work is bounded by the files and [`MOST_WORDS`].
pub(crate) fn search(files: &'static [File], question: &str) -> Found {
    let wanted = wanted(question);
    let lines: Vec<(Hit, BTreeSet<String>)> = files.iter().flat_map(lines).collect();
    let weights: BTreeMap<&str, f64> = wanted.iter().map(|word| (word.as_str(), weight(word, &lines))).collect();
    let mut scored: Vec<(f64, Hit)> = lines
        .into_iter()
        .map(|(hit, words)| (weights.iter().filter(|(word, _)| words.contains(**word)).map(|(_, weight)| weight).sum(), hit))
        .filter(|(score, _)| *score > 0.0)
        .collect();
    // Stable: lines of one score stay in the order of files and lines.
    scored.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    Found { words: wanted, hits: scored.into_iter().take(MOST_HITS).map(|(_, hit)| hit).collect() }
}

fn lines(file: &'static File) -> impl Iterator<Item = (Hit, BTreeSet<String>)> {
    file.text
        .lines()
        .zip(1..)
        .map(|(text, line)| (Hit { file: file.path, line, text: text.trim() }, words(text).map(singular).collect()))
}

/// How much a word tells: the fewer lines have it, the more.
fn weight(word: &str, lines: &[(Hit, BTreeSet<String>)]) -> f64 {
    match lines.iter().filter(|(_, words)| words.contains(word)).count() {
        0 => 0.0,
        some => (1.0 + lines.len() as f64 / some as f64).ln(),
    }
}

fn wanted(question: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    words(question)
        .filter(|word| word.len() > 1 && !STOP_WORDS.contains(&word.as_str()))
        .map(singular)
        .filter(|word| seen.insert(word.clone()))
        .take(MOST_WORDS)
        .collect()
}

/// Words in lower case. `findParcel` and `find_parcel` are two words each.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut was_lower = false;
    for character in text.chars() {
        if !character.is_alphanumeric() || (character.is_uppercase() && was_lower) {
            words.push(std::mem::take(&mut word));
        }
        if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        }
        was_lower = character.is_lowercase();
    }
    words.push(word);
    words.into_iter().filter(|word| !word.is_empty())
}

/// A question about parcels is one about a parcel.
fn singular(word: String) -> String {
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 2 && !stem.ends_with('s') => stem.to_owned(),
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    fn ask(question: &str) -> Found {
        search(workspace::files(workspace::ID).unwrap(), question)
    }

    #[test]
    fn the_best_line_comes_first_with_its_file_and_number() {
        for (question, file, text) in [
            ("How does this code work?", "README.md", "## How this code works"),
            (
                "Which port does it listen on?",
                "README.md",
                "It listens on port 8080. Set `CARRIER_URL` to the carrier's address.",
            ),
            ("what is MOST_FAILURES", "src/carrier.js", "const MOST_FAILURES = 3;"),
            ("Who does export findParcel?", "src/store.js", "export function findParcel(number) {"),
            ("404?", "docs/errors.md", "- 404: neither the store nor the carrier knows the parcel."),
        ] {
            let found = ask(question);
            let best = &found.hits[0];
            assert_eq!((best.file, best.text), (file, text), "{question}");
            let whole = workspace::files(workspace::ID).unwrap().iter().find(|known| known.path == file).unwrap();
            assert_eq!(whole.text.lines().nth(best.line - 1).unwrap().trim(), text, "{question}");
        }
    }

    #[test]
    fn what_nobody_wrote_is_not_found() {
        for question in ["", "?", "how is it", "zebra", "\u{1F980}"] {
            assert_eq!(ask(question).hits, [], "{question}");
        }
        assert_eq!(ask("Does this work for zebras, and glasses?").words, ["work", "zebra", "glasse"]);
    }

    #[test]
    fn words_and_lines_are_bounded() {
        let many: String = (0..1_000).map(|number| format!("word{number} ")).collect();
        assert_eq!(ask(&many).words.len(), MOST_WORDS);
        assert_eq!(ask("parcel carrier store answer number").hits.len(), MOST_HITS);
    }
}
