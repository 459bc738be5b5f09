//! A list of things, written page by page: as a table for people, as lines for programs, or as one JSON document.

use std::io::{self, IsTerminal, Seek, Write};
use std::ops::ControlFlow;

use clap::builder::styling::Style;
use keyward::Timestamp;
use serde::Serialize;
use tempfile::SpooledTempFile;

use crate::failure::Failure;
use crate::output::{print, print_piece, takes_colours, visible};

/// How many bytes of a document are kept in memory until it is whole.
const IN_MEMORY: usize = 4 * 1024 * 1024;

/// What is listed.
#[derive(Debug)]
pub(crate) struct Columns<const COUNT: usize> {
    /// What they are called together, like `keys`.
    pub(crate) items: &'static str,
    pub(crate) headings: [&'static str; COUNT],
    /// Those that may be shortened: texts that others chose.
    pub(crate) shrinkable: &'static [usize],
}

/// A list that is being written.
pub(crate) struct Listing<const COUNT: usize> {
    columns: &'static Columns<COUNT>,
    form: Form,
}

enum Form {
    /// How wide the terminal is, and whether the heading is still to come.
    Table { width: usize, heading: Option<Style> },
    /// Never aligned, shortened or coloured.
    Lines,
    /// Half a document would be taken for all, or for none, by whoever reads it. Lines and tables are worth something as far as they
    /// go.
    Json { whole: Whole, is_first: bool },
}

impl<const COUNT: usize> Listing<COUNT> {
    pub(crate) fn new(columns: &'static Columns<COUNT>, json: bool) -> Self {
        let out = io::stdout();
        let form = if json {
            Form::Json { whole: Whole::new(), is_first: true }
        } else if out.is_terminal() {
            let width = terminal_size::terminal_size_of(&out).map_or(120, |(terminal_size::Width(width), _)| usize::from(width));
            Form::Table { width, heading: Some(if takes_colours(&out) { Style::new().bold() } else { Style::new() }) }
        } else {
            Form::Lines
        };
        Self { columns, form }
    }

    /// Writes some more. `fields` tells one of them, with times as this list writes them.
    pub(crate) fn page<T: Serialize>(
        &mut self,
        page: &[T],
        fields: impl Fn(&T, &dyn Fn(&Timestamp) -> String) -> [String; COUNT],
    ) -> Result<ControlFlow<()>, Failure> {
        match &mut self.form {
            Form::Lines => print_piece(|out| {
                page.iter().try_for_each(|item| writeln!(out, "{}", fields(item, &Timestamp::to_string).join("\t")))
            }),
            Form::Table { width, heading } => {
                let rows = page.iter().map(|item| fields(item, &date)).collect();
                print_piece(|out| write_table(out, self.columns, rows, heading.take(), *width))
            }
            Form::Json { whole, is_first } => {
                let name = self.columns.items;
                whole.add(|out| {
                    page.iter().try_for_each(|item| {
                        match std::mem::take(is_first) {
                            true => writeln!(out, "{{\"{name}\":[")?,
                            false => out.write_all(b",\n")?,
                        }
                        Ok(serde_json::to_writer(&mut *out, item)?)
                    })
                })?;
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    /// That was all; `next` is where another list goes on.
    pub(crate) fn end(self, next: Option<&str>) -> Result<(), Failure> {
        let name = self.columns.items;
        match self.form {
            Form::Lines => Ok(()),
            Form::Table { heading: Some(_), .. } => print(|out| writeln!(out, "no {name}")),
            Form::Table { .. } => print(|out| next.map_or(Ok(()), |next| writeln!(out, "more: --after {next}"))),
            Form::Json { mut whole, is_first } => {
                whole.add(|out| {
                    let before = if is_first { format!("{{\"{name}\":[]") } else { "\n]".to_owned() };
                    writeln!(out, "{before},\"next\":{}}}", serde_json::to_string(&next)?)
                })?;
                whole.print()
            }
        }
    }
}

/// A document until it is whole: in memory, and beyond a few MiB in a temporary file without a name, so that a million keys need no
/// more memory than a few thousand. Refused: all pages in memory; reading the keys twice, since the second time may fail as well.
struct Whole(SpooledTempFile);

impl Whole {
    fn new() -> Self {
        Self(SpooledTempFile::new(IN_MEMORY))
    }

    fn add(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        // At once: the file has no buffer, and JSON is written in crumbs.
        let mut piece = Vec::new();
        write(&mut piece).and_then(|()| self.0.write_all(&piece)).map_err(|error| no_room(&error))
    }

    fn print(mut self) -> Result<(), Failure> {
        self.0.rewind().map_err(|error| no_room(&error))?;
        print(|out| io::copy(&mut self.0, out).map(drop))
    }
}

fn no_room(error: &io::Error) -> Failure {
    let mend = "let TMPDIR name a folder with room for it, or list fewer with --limit";
    Failure::Fault(format!("cannot keep the list until it is whole: {error}; {mend}"))
}

/// A field that holds nothing.
pub(crate) fn none() -> String {
    "-".to_owned()
}

/// A field that others wrote.
pub(crate) fn text(text: &str) -> String {
    if text.is_empty() { none() } else { visible(text).into_owned() }
}

/// The day, which is enough to look over many; `show` tells the rest.
fn date(time: &Timestamp) -> String {
    time.to_string().chars().take_while(|character| *character != 'T').collect()
}

const NARROWEST: usize = 8;

fn write_table<const COUNT: usize>(
    out: &mut dyn Write,
    columns: &Columns<COUNT>,
    rows: Vec<[String; COUNT]>,
    heading: Option<Style>,
    width: usize,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut widths = columns.headings.map(str::len);
    for row in &rows {
        widths.iter_mut().zip(row).for_each(|(width, field)| *width = field.chars().count().max(*width));
    }
    while widths.iter().sum::<usize>() + 2 * (widths.len() - 1) > width {
        let can_shrink = columns.shrinkable.iter().copied().filter(|column| widths[*column] > NARROWEST);
        let Some(widest) = can_shrink.max_by_key(|column| widths[*column]) else { break };
        widths[widest] -= 1;
    }
    if let Some(style) = heading {
        writeln!(out, "{style}{}{style:#}", line(columns.headings, &widths))?;
    }
    rows.iter().try_for_each(|row| writeln!(out, "{}", line(row.each_ref().map(String::as_str), &widths)))
}

fn line<const COUNT: usize>(fields: [&str; COUNT], widths: &[usize; COUNT]) -> String {
    let cells = fields.iter().zip(widths).map(|(field, &width)| {
        let shortened = if field.chars().count() > width {
            field.chars().take(width.saturating_sub(1)).chain(['…']).collect()
        } else {
            (*field).to_owned()
        };
        format!("{shortened:width$}")
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns<4> = Columns { items: "keys", headings: ["id", "name", "key", "owner"], shrinkable: &[1, 3] };

    fn row(name: &str) -> [String; 4] {
        ["0".repeat(32).as_str(), name, "kw_abcd…", "ada"].map(str::to_owned)
    }

    fn table(rows: Vec<[String; 4]>, width: usize) -> Vec<String> {
        let mut out = Vec::new();
        write_table(&mut out, &COLUMNS, rows, Some(Style::new()), width).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn columns_are_aligned_and_as_wide_as_the_terminal_allows() {
        let lines = table(vec![row("a"), row(&"ä".repeat(60))], 80);
        let at = |line: &str, word: &str| {
            line.chars().collect::<Vec<_>>().windows(word.len()).position(|window| window.iter().collect::<String>() == word)
        };
        assert_eq!(at(&lines[0], "key"), at(&lines[1], "kw_"));
        assert_eq!(at(&lines[1], "kw_"), at(&lines[2], "kw_"));
        assert!(lines[2].contains("ä…") && lines.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
        // What is needed whole stays whole.
        assert!(table(vec![row(&"n".repeat(60))], 10)[1].contains("nnnnnnn…  kw_abcd…  ada"));
    }
}
