//! Files of keys, one JSON object a line: what is read is what the model reads, and what is refused is told by its line.
//!
//! Each key that is read is then presented once, and must be decided as the model decides. `CANARY` stands in for a secret: no
//! complaint may repeat it.

use keyward::import::{self, BadRow};

use super::step::step;
use crate::{
    generate::{Asked, World},
    model::{key::ModelKey, policy::ModelPolicy, request::ModelRequest},
};

/// Keys of one input that are presented.
const MOST_KEYS: usize = 8;

/// Runs one input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<(usize, &str)> =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(|(index, line)| (index + 1, line)).collect();
    let rows: Vec<_> = import::keys_file(text).collect();
    let strict: Vec<_> = import::from_json_lines(text).collect();
    assert_eq!((lines.len(), lines.len()), (rows.len(), strict.len()), "rows of {text:?}");

    let mut keys: Vec<ModelKey> = Vec::new();
    for (((line, written), row), strict) in lines.iter().zip(&rows).zip(&strict) {
        let modelled = ModelKey::from_json_line(written);
        for told in [row.as_ref().err(), strict.as_ref().err()].into_iter().flatten() {
            judge_complaint(*line, written, told);
        }
        assert!(row.is_ok() || strict.is_err(), "{written} is good enough to import, and not for a file of keys");
        // What the model refuses may have names that it does not know; what it takes has no quota or network that it judges.
        if let (Ok(_), Ok(modelled)) = (row, modelled)
            && keys.len() < MOST_KEYS
            && !keys.iter().any(|key| key.key == modelled.key)
        {
            keys.push(modelled);
        }
    }
    let steps = keys.iter().map(|key| Asked { wait: 0, happenings: Vec::new(), request: presenting(&key.key) }).collect();
    step(&World { policy: ModelPolicy::default(), keys, environment: Default::default(), steps });
}

fn judge_complaint(line: usize, written: &str, told: &BadRow) {
    assert_eq!(told.line, line, "{told}\n{written}");
    assert!(!told.problem.is_empty(), "{written} is refused without a word");
    // Where it stands among what is no secret, it may be repeated.
    let is_the_key = written.contains(r#""key":"CANARY""#) || written == "CANARY";
    let is_alone = written.matches("CANARY").count() == 1;
    assert!(!(is_the_key && is_alone && told.problem.contains("CANARY")), "{told}\n{written}");
}

fn presenting(key: &str) -> ModelRequest {
    ModelRequest {
        method: "GET".to_owned(),
        target: b"/".to_vec(),
        headers: vec![("X-API-Key".to_owned(), key.as_bytes().to_vec())],
        body: Vec::new(),
        peer: Some([192, 0, 2, 1].into()),
    }
}
