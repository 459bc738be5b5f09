//! A Rust file as the row of tokens that the rules look through.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The tokens of a file in a row. Literals stand as nothing, `::` as one token, and the paths of a `use` are written
/// out, so that `use std::{fs, env}` reads as `std::fs; std::env;`.
pub(super) struct Tokens(Vec<Token>);

/// What to do with that which is compiled for tests alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TestCode {
    Kept,
    Skipped,
}

struct Token {
    text: String,
    line: usize,
}

impl Tokens {
    pub(super) fn of(stream: TokenStream, test_code: TestCode) -> Self {
        let mut tokens = Self(Vec::new());
        tokens.add(stream, test_code);
        tokens
    }

    /// The lines on which this sequence begins.
    pub(super) fn lines_of(&self, sequence: &[&str]) -> impl Iterator<Item = usize> {
        self.0
            .windows(sequence.len())
            .filter(|window| sequence.iter().zip(*window).all(|(word, token)| *word == token.text))
            .map(|window| window[0].line)
    }

    fn push(&mut self, text: impl Into<String>, line: usize) {
        self.0.push(Token { text: text.into(), line });
    }

    fn add(&mut self, stream: TokenStream, test_code: TestCode) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < trees.len() {
            if test_code == TestCode::Skipped {
                match test_attribute(&trees[at..]) {
                    Some(Attribute::OfTheFile) => return,
                    Some(Attribute::OfTheNextItem) => {
                        at = end_of_item(&trees, at);
                        continue;
                    }
                    None => {}
                }
            }
            if is_word(&trees[at], "use") && trees.get(at + 1).is_some_and(|next| !is_punctuation(next, '<')) {
                let end = (at..trees.len()).find(|end| is_punctuation(&trees[*end], ';')).unwrap_or(trees.len());
                self.add_use(&trees[at + 1..end], &[]);
                at = end;
                continue;
            }
            at += self.add_tree(&trees[at..], test_code);
        }
    }

    /// Adds the first of these trees, and says how many that were.
    fn add_tree(&mut self, trees: &[TokenTree], test_code: TestCode) -> usize {
        let line = trees[0].span().start().line;
        match &trees[0] {
            TokenTree::Ident(word) => self.push(word.to_string(), line),
            TokenTree::Literal(_) => self.push("", line),
            TokenTree::Punct(_) if is_path_separator(trees) => {
                self.push("::", line);
                return 2;
            }
            TokenTree::Punct(punctuation) => self.push(punctuation.as_char(), line),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                self.push(open, line);
                self.add(group.stream(), test_code);
                self.push(close, group.span_close().start().line);
            }
        }
        1
    }

    /// Adds each path that a `use` names, in full.
    fn add_use(&mut self, trees: &[TokenTree], prefix: &[String]) {
        for path in trees.split(|tree| is_punctuation(tree, ',')) {
            let mut segments = prefix.to_vec();
            let mut line = 0;
            for tree in path {
                line = tree.span().start().line;
                match tree {
                    TokenTree::Ident(word) if word == "as" => break,
                    TokenTree::Ident(word) => segments.push(word.to_string()),
                    TokenTree::Group(group) => {
                        let inner: Vec<_> = group.stream().into_iter().collect();
                        self.add_use(&inner, &segments);
                        segments.clear();
                    }
                    TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                }
            }
            for (index, segment) in segments.iter().enumerate() {
                if index > 0 {
                    self.push("::", line);
                }
                self.push(segment.as_str(), line);
            }
            self.push(";", line);
        }
    }
}

enum Attribute {
    OfTheFile,
    OfTheNextItem,
}

/// Whether an attribute that compiles what it stands on for tests alone begins here.
fn test_attribute(trees: &[TokenTree]) -> Option<Attribute> {
    let [hash, rest @ ..] = trees else {
        return None;
    };
    if !is_punctuation(hash, '#') {
        return None;
    }
    let (group, place) = match rest {
        [bang, TokenTree::Group(group), ..] if is_punctuation(bang, '!') => (group, Attribute::OfTheFile),
        [TokenTree::Group(group), ..] => (group, Attribute::OfTheNextItem),
        _ => return None,
    };
    let attribute: Vec<_> = group.stream().into_iter().collect();
    let only_tests = match attribute.as_slice() {
        [word] => is_word(word, "test"),
        [word, TokenTree::Group(predicate)] if is_word(word, "cfg") => needs_test(predicate.stream()),
        _ => false,
    };
    only_tests.then_some(place)
}

/// `test`, or `all(…)` with it; `any(test, …)` and `not(test)` hold elsewhere, too.
fn needs_test(predicate: TokenStream) -> bool {
    let trees: Vec<_> = predicate.into_iter().collect();
    match trees.as_slice() {
        [word] => is_word(word, "test"),
        [word, TokenTree::Group(group)] if is_word(word, "all") => {
            let parts: Vec<_> = group.stream().into_iter().collect();
            parts.split(|tree| is_punctuation(tree, ',')).any(|part| needs_test(part.iter().cloned().collect()))
        }
        _ => false,
    }
}

/// Where the item that has an attribute at `at` ends: after its body, or after its semicolon.
fn end_of_item(trees: &[TokenTree], at: usize) -> usize {
    let ends = |tree: &TokenTree| {
        is_punctuation(tree, ';') || matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
    };
    (at..trees.len()).find(|end| ends(&trees[*end])).map_or(trees.len(), |end| end + 1)
}

fn is_word(tree: &TokenTree, word: &str) -> bool {
    matches!(tree, TokenTree::Ident(identifier) if identifier == word)
}

fn is_punctuation(tree: &TokenTree, character: char) -> bool {
    matches!(tree, TokenTree::Punct(punctuation) if punctuation.as_char() == character)
}

fn is_path_separator(trees: &[TokenTree]) -> bool {
    matches!(trees, [first, second, ..] if is_punctuation(first, ':') && is_punctuation(second, ':'))
}
