//! What may not stand in Rust sources. The rules look at tokens, not at lines: neither a comment nor a string breaks
//! one, and neither a line break nor a macro hides anything.

use std::str::FromStr;

use proc_macro2::TokenStream;

use super::Violation;
use super::tokens::{TestCode, Tokens};

/// The core asks the machine for nothing: not for a socket, a file or a variable of the environment.
const CORE: &str = "crates/keyward/src/";

/// The only file of the core that reads a clock. Everything else is told the time.
const CORE_CLOCK: &str = "clock.rs";

/// Sequences of tokens that hosts use on the core's behalf. A single word is banned wherever it stands, so that
/// `use std::net::*` does not help.
const LENT_BY_THE_HOST: &[&[&str]] =
    &[&["TcpStream"], &["TcpListener"], &["UdpSocket"], &["std", "::", "fs"], &["std", "::", "env"]];

const CLOCKS: &[&[&str]] =
    &[&["SystemTime", "::", "now"], &["Instant", "::", "now"], &["Timestamp", "::", "now"], &["Zoned", "::", "now"]];

/// What is left half done, in the product and in its tests alike.
const UNFINISHED: &[&[&str]] = &[&["todo", "!"], &["unimplemented", "!"], &["dbg", "!"], &["#", "[", "ignore"]];

/// Judges one Rust file by its path below the root and its text.
pub(super) fn check(file: &str, text: &str) -> Vec<Violation> {
    let stream = match TokenStream::from_str(text) {
        Ok(stream) => stream,
        Err(error) => {
            let line = error.span().start().line;
            return vec![violation(file, line, "cannot be read as Rust".to_owned())];
        }
    };

    let all = Tokens::of(stream.clone(), TestCode::Kept);
    let mut found = banned(file, &all, UNFINISHED, "is left half done");
    found.extend(ignored_examples(file, text));

    if file.starts_with(CORE) && !is_test_file(file) {
        let product = Tokens::of(stream, TestCode::Skipped);
        let lent = "is lent to the core by its host";
        found.extend(banned(file, &product, LENT_BY_THE_HOST, lent));
        if file.strip_prefix(CORE) != Some(CORE_CLOCK) {
            let clock = "reads a clock: take the time as an argument";
            found.extend(banned(file, &product, CLOCKS, clock));
        }
    }
    found
}

fn banned(file: &str, tokens: &Tokens, sequences: &[&[&str]], why: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for sequence in sequences {
        for line in tokens.lines_of(sequence) {
            found.push(violation(file, line, format!("`{}` {why}", sequence.concat())));
        }
    }
    // `use std::env::{self, vars}` says the same thing twice.
    found.dedup();
    found
}

/// Modules that stand behind a `#[cfg(test)]` in another file.
fn is_test_file(file: &str) -> bool {
    file.ends_with("/tests.rs") || file.contains("/tests/")
}

/// An example that is not compiled is an ignored test, too. Comments are no tokens, so this looks at lines.
fn ignored_examples(file: &str, text: &str) -> Vec<Violation> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| {
            let line = line.trim_start();
            let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
            let fence = comment.and_then(|comment| comment.trim_start().strip_prefix("```"));
            fence.is_some_and(|words| words.split([',', ' ']).any(|word| word == "ignore" || word.starts_with("ignore-")))
        })
        .map(|(index, _)| violation(file, index + 1, "an example that is ignored".to_owned()))
        .collect()
}

fn violation(file: &str, line: usize, message: String) -> Violation {
    Violation { place: file.to_owned(), line: Some(line), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_THE_CORE: &str = "crates/keyward/src/guard.rs";

    fn lines(file: &str, text: &str) -> Vec<usize> {
        check(file, text).iter().filter_map(|violation| violation.line).collect()
    }

    #[test]
    fn what_the_host_lends_is_found_in_the_core() {
        for text in [
            "use std::fs;",
            "use std::fs::File;",
            "use std::{fmt, fs};",
            "use std::{fmt::Debug, env::{self, vars}};",
            "use ::std::env as surroundings;",
            "use std::net::{IpAddr, TcpStream};",
            "use std::net::*; fn f(_: TcpListener) {}",
            "fn f() { let s = std::net::UdpSocket::bind(a); }",
            "fn f() { std::\n    fs::read(p); }",
            "fn f() { if let Ok(v) = std::env::var(\"X\") {} }",
            "macro_rules! m { () => { std::env::vars() } }",
        ] {
            assert_eq!(lines(IN_THE_CORE, text).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_clock_is_found_in_the_core_outside_its_one_reader() {
        for text in [
            "fn f() { let now = std::time::SystemTime::now(); }",
            "fn f() { let now = Instant::now(); }",
            "fn f() { let now = jiff::Timestamp::now(); }",
            "fn f() { let now = Zoned::now(); }",
            "fn f() { let read = x.unwrap_or_else(Instant::now); }",
        ] {
            assert_eq!(lines(IN_THE_CORE, text), [1], "{text}");
            assert_eq!(lines("crates/keyward/src/clock.rs", text), [0_usize; 0], "{text}");
            assert_eq!(lines("crates/keyward/src/key/clock.rs", text), [1], "{text}");
        }
    }

    #[test]
    fn comments_strings_and_other_crates_are_free() {
        for text in [
            "// std::fs, Instant::now()\nfn f() {}",
            "/// Unlike `std::env::var`.\nfn f() {}",
            "fn f() -> &'static str { \"TcpStream std::fs Instant::now todo!()\" }",
            "use std::net::{IpAddr, SocketAddr}; use std::time::Instant;",
            "const VERSION: &str = env!(\"CARGO_PKG_VERSION\");",
            "fn f<'a>(x: &'a str) -> impl Fn() + use<'a> { move || () }",
        ] {
            assert_eq!(check(IN_THE_CORE, text), [], "{text}");
        }
        let busy = "use std::{env, fs}; fn f() { Instant::now(); }";
        assert_eq!(check("crates/keyward-server/src/main.rs", busy), []);
        assert_eq!(check("crates/keyward/tests/canary.rs", busy), []);
    }

    #[test]
    fn test_code_of_the_core_is_free_and_nothing_else_is() {
        for text in [
            "#[cfg(test)] mod tests { use std::fs; }",
            "#[cfg(all(test, feature = \"x\"))] mod tests { use std::fs; }",
            "#[cfg(test)] use std::fs;",
            "#[test] fn t() { Instant::now(); }",
            "#![cfg(test)]\nuse std::fs;",
        ] {
            assert_eq!(check(IN_THE_CORE, text), [], "{text}");
        }
        for text in [
            "#[cfg(not(test))] mod product { use std::fs; }",
            "#[cfg(any(test, feature = \"x\"))] mod product { use std::fs; }",
            "#[cfg(test)] mod tests { use std::env; } use std::fs;",
            "#[cfg(feature = \"test\")] use std::fs;",
            "#[cfg(test)] use std::env; fn f() { std::fs::read(p); }",
        ] {
            assert_eq!(lines(IN_THE_CORE, text), [1], "{text}");
        }
        let busy = "use std::fs;";
        assert_eq!(check("crates/keyward/src/key/tests.rs", busy), []);
        assert_eq!(check("crates/keyward/src/key/tests/import.rs", busy), []);
    }

    #[test]
    fn what_is_left_half_done_is_found_everywhere() {
        for text in [
            "fn f() { todo!() }",
            "fn f() { todo !(\"later\") }",
            "fn f() { unimplemented!() }",
            "fn f() { dbg!(1); }",
            "#[test] #[ignore] fn t() {}",
            "#[test]\n#[ignore = \"slow\"]\nfn t() {}",
            "#[cfg(test)] mod tests { fn f() { std::todo!() } }",
            "fn f() { vec![dbg!(1)]; }",
            "/// ```ignore\n/// f();\n/// ```\nfn f() {}",
            "//! ```rust,ignore\n//! f();\n//! ```",
        ] {
            for file in [IN_THE_CORE, "crates/keyward-axum/tests/suite.rs", "xtask/src/main.rs"] {
                assert_eq!(lines(file, text).len(), 1, "{file}: {text}");
            }
        }
    }

    #[test]
    fn finished_code_is_let_through() {
        for text in [
            "// todo!() is banned\nfn todo() -> bool { !ignore() }",
            "#[cfg_attr(miri, ignore)] #[test] fn t() {}",
            "/// ```no_run\n/// f();\n/// ```\nfn f() {}",
            "fn f() { unreachable!(\"proved above\") }",
        ] {
            assert_eq!(check("crates/keyward-axum/src/lib.rs", text), [], "{text}");
        }
    }

    #[test]
    fn a_violation_tells_file_line_and_what() {
        let found = check(IN_THE_CORE, "fn f() {\n    dbg!(1);\n}");
        assert_eq!(found[0].to_string(), "crates/keyward/src/guard.rs:2: `dbg!` is left half done");
    }

    #[test]
    fn a_file_that_is_no_rust_is_told() {
        assert_eq!(lines(IN_THE_CORE, "fn f() {\n  \"open"), [2]);
    }
}
