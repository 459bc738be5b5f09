//! `keyward keys list`: page by page, so that a million keys need no more memory than a few hundred.

use std::io::{self, IsTerminal, Seek, Write};
use std::process::ExitCode;

use clap::builder::styling::Style;
use keyward::Timestamp;
use keyward::key::KeyId;
use keyward::store::{Filter, RecordTold};
use tempfile::SpooledTempFile;

use super::arguments::List;
use super::{Call, Session, failed};
use crate::database::Access;
use crate::failure::Failure;
use crate::output::{print, print_piece, takes_colours, visible};

/// How many keys are asked for at once.
const PAGE: usize = 500;

/// How many bytes of a document are kept in memory until it is whole.
const IN_MEMORY: usize = 4 * 1024 * 1024;

pub(super) async fn run(call: &Call<'_>, arguments: &List) -> Result<ExitCode, Failure> {
    call.with(Access::Read, async |session| list(call, session, arguments).await).await
}

async fn list(call: &Call<'_>, session: &Session, arguments: &List) -> Result<ExitCode, Failure> {
    let filter = Filter { state: arguments.state.map(|state| (state, call.now)), ..arguments.which.filter(call.now) };
    let limit = arguments.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut writer = Writer::new(call.json);
    // Half a document would be taken for all, or for none, by whoever reads it. Lines and tables are worth something as far as they
    // go.
    let mut whole = call.json.then(Whole::new);
    let (mut after, mut left) = (arguments.after, limit);
    while left > 0 {
        // One more than is shown, to know whether there is a next page.
        let wanted = left.min(PAGE);
        let mut records = session.keys.list(&filter, after, wanted + 1).await.map_err(failed)?;
        let is_last = records.len() <= wanted;
        records.truncate(wanted);
        let ids: Vec<KeyId> = records.iter().map(|record| record.id).collect();
        let usage = session.keys.usage(&ids).await.map_err(failed)?;
        let page: Vec<RecordTold> = records.iter().map(|record| RecordTold::of(record, call.now, &usage)).collect();
        left -= page.len();
        after = ids.last().copied().or(after);
        match &mut whole {
            Some(whole) => whole.add(|out| writer.page(out, &page))?,
            None if print_piece(|out| writer.page(out, &page))?.is_break() => return Ok(ExitCode::SUCCESS),
            None => {}
        }
        if is_last {
            after = None;
            break;
        }
    }
    match whole {
        Some(mut whole) => {
            whole.add(|out| writer.end(out, after))?;
            whole.print()?;
        }
        None => print(|out| writer.end(out, after))?,
    }
    Ok(ExitCode::SUCCESS)
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
    let mend = "let TMPDIR name a folder with room for it, or list fewer keys with --limit";
    Failure::Fault(format!("cannot keep the list until it is whole: {error}; {mend}"))
}

enum Writer {
    /// A table for people; how wide the terminal is, and whether the heading is still to come.
    Table {
        width: usize,
        heading: Option<Style>,
    },
    /// For programs: never aligned, shortened or coloured.
    Lines,
    Json {
        is_first: bool,
    },
}

impl Writer {
    fn new(json: bool) -> Self {
        let out = io::stdout();
        if json {
            Self::Json { is_first: true }
        } else if out.is_terminal() {
            let width = terminal_size::terminal_size_of(&out).map_or(120, |(terminal_size::Width(width), _)| usize::from(width));
            Self::Table { width, heading: Some(if takes_colours(&out) { Style::new().bold() } else { Style::new() }) }
        } else {
            Self::Lines
        }
    }

    fn page(&mut self, out: &mut dyn Write, page: &[RecordTold]) -> io::Result<()> {
        match self {
            Self::Lines => page.iter().try_for_each(|told| writeln!(out, "{}", fields(told, &Timestamp::to_string).join("\t"))),
            Self::Json { is_first } => page.iter().try_for_each(|told| {
                write!(out, "{}", if *is_first { "{\"keys\":[\n" } else { ",\n" })?;
                *is_first = false;
                Ok(serde_json::to_writer(&mut *out, told)?)
            }),
            Self::Table { width, heading } => {
                let heading = heading.take();
                let rows = page.iter().map(|told| fields(told, &date)).collect();
                write_table(out, rows, heading, *width)
            }
        }
    }

    fn end(&self, out: &mut dyn Write, next: Option<KeyId>) -> io::Result<()> {
        match self {
            Self::Lines => Ok(()),
            Self::Json { is_first } => {
                let before = if *is_first { "{\"keys\":[" } else { "\n]" };
                let after = if *is_first { "]" } else { "" };
                let next = serde_json::to_string(&next)?;
                writeln!(out, "{before}{after},\"next\":{next}}}")
            }
            Self::Table { heading: Some(_), .. } => writeln!(out, "no keys"),
            Self::Table { .. } => next.map_or(Ok(()), |next| writeln!(out, "more: --after {next}")),
        }
    }
}

const HEADINGS: [&str; 9] = ["id", "name", "key", "owner", "scopes", "state", "made", "last used", "expires"];
/// Columns that may be shortened: texts that others chose.
const SHRINKABLE: [usize; 3] = [1, 3, 4];
const NARROWEST: usize = 8;

fn fields(told: &RecordTold, time: &dyn Fn(&Timestamp) -> String) -> [String; 9] {
    let none = || "-".to_owned();
    let maybe = |at: &Option<Timestamp>| at.as_ref().map_or_else(none, time);
    let text = |text: &str| if text.is_empty() { none() } else { visible(text).into_owned() };
    [
        told.id.clone(),
        text(&told.name),
        if told.key_prefix.is_empty() { none() } else { format!("{}…", visible(&told.key_prefix)) },
        told.owner.as_deref().map_or_else(none, text),
        text(&told.scopes.join(" ")),
        told.state.to_owned(),
        time(&told.created_at),
        maybe(&told.last_used_at),
        maybe(&told.expires_at),
    ]
}

/// The day, which is enough to look over many keys; `keys show` tells the rest.
fn date(time: &Timestamp) -> String {
    time.to_string().chars().take_while(|character| *character != 'T').collect()
}

fn write_table(out: &mut dyn Write, rows: Vec<[String; 9]>, heading: Option<Style>, width: usize) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        widths.iter_mut().zip(row).for_each(|(width, field)| *width = field.chars().count().max(*width));
    }
    while widths.iter().sum::<usize>() + 2 * (widths.len() - 1) > width {
        let Some(widest) =
            SHRINKABLE.into_iter().filter(|column| widths[*column] > NARROWEST).max_by_key(|column| widths[*column])
        else {
            break;
        };
        widths[widest] -= 1;
    }
    if let Some(style) = heading {
        writeln!(out, "{style}{}{style:#}", line(HEADINGS, &widths))?;
    }
    rows.iter().try_for_each(|row| writeln!(out, "{}", line(row.each_ref().map(String::as_str), &widths)))
}

fn line(fields: [&str; 9], widths: &[usize; 9]) -> String {
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

    fn row(name: &str) -> [String; 9] {
        ["0".repeat(32).as_str(), name, "kw_abcd…", "ada", "-", "live", "2026-01-31", "-", "-"].map(str::to_owned)
    }

    fn table(rows: Vec<[String; 9]>, width: usize) -> Vec<String> {
        let mut out = Vec::new();
        write_table(&mut out, rows, Some(Style::new()), width).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn columns_are_aligned_and_as_wide_as_the_terminal_allows() {
        let lines = table(vec![row("a"), row(&"ä".repeat(60))], 140);
        let at = |line: &str, word: &str| {
            line.chars().collect::<Vec<_>>().windows(word.len()).position(|window| window.iter().collect::<String>() == word)
        };
        assert_eq!(at(&lines[0], "key"), at(&lines[1], "kw_"));
        assert_eq!(at(&lines[1], "kw_"), at(&lines[2], "kw_"));
        assert!(lines[2].contains("ä…") && lines.iter().all(|line| line.chars().count() <= 140), "{lines:?}");
        // What is needed whole stays whole.
        assert!(table(vec![row(&"n".repeat(60))], 10)[1].contains("nnnnnnn…  kw_abcd…  ada"));
    }
}
