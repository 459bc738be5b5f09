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

/// Writes lines to standard error. There is nobody left to tell when that fails.
pub(crate) fn tell(text: &str) {
    let _ = try_tell(text);
}

/// As [`tell`], for what must not get lost.
pub(crate) fn try_tell(text: &str) -> io::Result<()> {
    let lines: String = text.lines().map(|line| format!("{}\n", visible(line))).collect();
    io::stderr().lock().write_all(lines.as_bytes())
}

/// Whether to colour what is written there: a terminal, and no `NO_COLOR` (no-color.org).
pub(crate) fn takes_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text that others wrote, without what would move the cursor or colour the terminal.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    text.chars()
        .map(|character| match character.is_control() {
            true => character.escape_default().to_string(),
            false => character.to_string(),
        })
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_told_and_not_obeyed() {
        assert_eq!(visible("a\u{1b}[31mä\n\u{9b}"), "a\\u{1b}[31mä\\n\\u{9b}");
    }
}
