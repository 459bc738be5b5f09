//! Writing for people and for pipes. Never `println!`: it panics when the reader has gone.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::ops::ControlFlow;

use crate::failure::Failure;

/// Writes to standard output. A reader that has gone has seen what it wanted, so that is no failure.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    print_piece(write).map(drop)
}

/// As [`print()`], for what is written piece by piece: breaks off where the reader has gone.
pub(crate) fn print_piece(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<ControlFlow<()>, Failure> {
    match try_print(write) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Failure::Fault(format!("cannot write to standard output: {error}"))),
    }
}

/// As [`print()`], for what must not get lost: a reader that has gone is a failure.
pub(crate) fn try_print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out).and_then(|()| out.flush())
}

/// Writes one JSON document to standard output.
pub(crate) fn print_json(document: &impl serde::Serialize) -> Result<(), Failure> {
    print(|out| write_json(out, document))
}

pub(crate) fn write_json(out: &mut dyn Write, document: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)
}

/// Labels, and behind them what is told of each.
pub(crate) fn write_rows(out: &mut dyn Write, rows: &[(String, String)]) -> io::Result<()> {
    let labels: Vec<_> = rows.iter().map(|(label, _)| visible(label)).collect();
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or_default();
    labels.iter().zip(rows).try_for_each(|(label, (_, value))| writeln!(out, "{label:width$}  {}", visible(value)))
}

/// Writes lines to standard error. There is nobody left to tell when that fails.
pub(crate) fn tell(text: &str) {
    let _ = try_tell(text);
}

/// As [`tell`], for what must not get lost.
pub(crate) fn try_tell(text: &str) -> io::Result<()> {
    let lines: String = text.lines().map(|line| format!("{}\n", harmless(line))).collect();
    io::stderr().lock().write_all(lines.as_bytes())
}

/// Whether to colour what is written there: a terminal, and no `NO_COLOR` (no-color.org).
pub(crate) fn takes_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text that others wrote, without what would move the cursor, colour the terminal, or show it otherwise than it is. A backslash is
/// doubled, so that nobody can write what looks like one of our escapes.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character == '\\' || misleads(character))
}

/// As [`visible`], for sentences of our own in which others' words may stand: a backslash is one.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    escaped(text, misleads)
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut told = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_escaped(character) {
            told.extend(character.escape_default());
        } else {
            told.push(character);
        }
    }
    Cow::Owned(told)
}

/// Not seen, or changes how others are seen: the Unicode categories Cc (controls), Cf (the order of writing, zero width, tags), Zl
/// and Zp (ends of lines that are no line feed). The ranges are those of Unicode 16, and those of tags with the unassigned ones
/// between them, which are shown as nothing: two dozen numbers, which change every few years, are no reason for a crate.
fn misleads(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_told_and_not_obeyed() {
        assert_eq!(visible("a\u{1b}[31mä\n\u{9b}"), "a\\u{1b}[31mä\\n\\u{9b}");
    }

    #[test]
    fn what_hides_or_turns_text_around_is_told() {
        for hidden in ['\u{ad}', '\u{61c}', '\u{200b}', '\u{200d}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}']
            .into_iter()
            .chain([
                '\u{2060}',
                '\u{2066}',
                '\u{2069}',
                '\u{206f}',
                '\u{feff}',
                '\u{fffb}',
                '\u{e0001}',
                '\u{e0041}',
                '\u{1d173}',
            ])
        {
            let told = format!("a\\u{{{:x}}}b", u32::from(hidden));
            assert_eq!(visible(&format!("a{hidden}b")), told);
            assert_eq!(harmless(&format!("a{hidden}b")), told);
        }
        // Beside them.
        let plain = "a \u{a0}\u{ac}\u{ae}\u{200a}\u{2010}\u{2027}\u{202f}\u{205f}\u{2070}\u{fefe}\u{5d0}\u{e9}e\u{301}\u{1f511}";
        assert!(matches!(visible(plain), Cow::Borrowed(told) if told == plain));
    }

    /// Two texts are never told alike.
    #[test]
    fn a_backslash_cannot_pass_for_the_beginning_of_an_escape() {
        assert_eq!((visible("\\u{202e}"), visible("\u{202e}")), ("\\\\u{202e}".into(), "\\u{202e}".into()));
        assert_eq!((visible("\\n"), visible("\n"), visible("\\\n")), ("\\\\n".into(), "\\n".into(), "\\\\\\n".into()));
        assert_eq!(harmless(&visible("\\\u{202e}")), "\\\\\\u{202e}", "once is enough");
    }
}
