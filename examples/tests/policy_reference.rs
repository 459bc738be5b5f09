//! `docs/policy.md` shows what can be read, lists every name, and tells errors as they are.

use keyward::Policy;

const PAGE: &str = include_str!("../../docs/policy.md");
const NAMES: &str = include_str!("../../crates/keyward/src/policy/file.rs");

/// The blocks of a page that are marked so, each with the line on which it begins.
fn blocks<'p>(page: &'p str, mark: &str) -> Vec<(usize, &'p str)> {
    let opening = format!("```{mark}\n");
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = page[from..].find(&opening) {
        let start = from + at + opening.len();
        let end = start + page[start..].find("\n```").unwrap();
        found.push((page[..start].lines().count(), &page[start..end]));
        from = end;
    }
    found
}

/// The fields of the structs in the file's source, without those of `Vec` and `Option` inside them.
fn names() -> Vec<&'static str> {
    let fields = NAMES.lines().filter_map(|line| line.trim().strip_prefix("pub(crate) ")?.split_once(": "));
    fields.map(|(name, _)| name).filter(|name| !name.contains(' ')).collect()
}

#[test]
fn every_file_that_is_shown_can_be_read() {
    let shown = blocks(PAGE, "toml");
    assert!(!shown.is_empty());
    for (line, text) in shown {
        if let Err(error) = Policy::from_toml("docs/policy.md", text) {
            panic!("the block on line {line}:\n{error}");
        }
    }
}

#[test]
fn the_whole_file_says_every_name() {
    let (_, whole) = blocks(PAGE, "toml")[0];
    let names = names();
    assert!(names.len() > 60, "the source is read wrongly: {names:?}");
    for name in names {
        let is_said =
            whole.contains(&format!("{name} = ")) || whole.contains(&format!("[{name}")) || whole.contains(&format!(".{name}]"));
        assert!(is_said, "`{name}` is not in the file that shows everything");
    }
}

#[test]
fn every_name_is_explained() {
    for name in names() {
        let is_explained = [format!("| `{name}` |"), format!("| `report_only.{name}` |"), format!("[{name}]")];
        assert!(is_explained.iter().any(|mark| PAGE.contains(mark)), "`{name}` has no line in docs/policy.md");
    }
}

#[test]
fn errors_are_told_as_the_page_shows_them() {
    let (_, wrong) = blocks(PAGE, "toml wrong")[0];
    let (_, told) = blocks(PAGE, "text")[0];
    let mut told: Vec<&str> = told.lines().collect();
    let error = Policy::from_toml("policy.toml", wrong).unwrap_err().to_string();
    let mut errors: Vec<&str> = error.lines().collect();
    // The page has them in the order of the file.
    told.sort_unstable();
    errors.sort_unstable();
    assert_eq!(errors, told);
}
