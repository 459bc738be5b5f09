//! `docs/policy.md` shows what can be read, lists every name, and tells errors as they are.

use keyward::audit::Ring;
use keyward::{Guard, MemoryStore, Policy};

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

#[test]
fn what_cannot_carry_request_ids_is_refused_as_listed() {
    let (_, after) = PAGE.split_once("cannot carry ids, which are echoed and logged:").unwrap();
    let (list, _) = after.split_once("\n## ").unwrap();
    let names: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    assert!(names.len() > 30, "the page is read wrongly: {names:?}");
    for name in names {
        let text = format!("[response]\nrequest_id_header = \"{name}\"\n");
        let name_is_refused = Policy::from_toml("p", &text).unwrap_err().to_string();
        assert!(name_is_refused.starts_with("p:2: response.request_id_header: "), "{name}: {name_is_refused}");
    }
    assert!(Policy::from_toml("p", "[response]\nrequest_id_header = \"X-API-Key\"").is_err(), "a source's header");
}

#[test]
fn a_wrong_name_type_or_syntax_is_told_alone_and_other_faults_together() {
    for (text, faults) in [
        ("resolution = \"x\"\n[acces]\n[limits]\nfailures = \"x\"\n", 1),
        ("resolution = \"x\"\n[limits]\nfailures = 1\n", 1),
        ("resolution = \"x\"\n[limits\n", 1),
        ("resolution = \"x\"\n[limits]\nfailures = \"x\"\n", 2),
    ] {
        let error = Policy::from_toml("p", text).unwrap_err().to_string();
        assert_eq!(error.lines().count(), faults, "{error}");
    }
}

#[test]
fn a_sink_that_may_drop_events_does_not_serve_where_they_are_required() {
    let guard = |mode| {
        let policy = Policy::from_toml("p", &format!("[audit]\nmode = \"{mode}\"\n")).unwrap();
        let (ring, _events) = Ring::new(16);
        Guard::builder(policy).store(MemoryStore::new()).audit(ring).build()
    };
    assert!(guard("required").unwrap_err().to_string().starts_with("audit.mode: "));
    assert!(guard("best-effort").is_ok());
}
