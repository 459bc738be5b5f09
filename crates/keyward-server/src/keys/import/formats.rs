//! Files of keys, row by row. Each becomes a row of JSON for the core's reader, so that the rules stand in one place.

use keyward::import::{self, ImportedKey};
use serde_json::{Map, Value, json};

use super::{Format, Import};
use crate::failure::Failure;

/// A row by its line, read or refused.
pub(super) type Row = (usize, Result<ImportedKey, String>);

/// What is known of the keys of a list that says nothing about them itself.
pub(super) enum Declared {
    Nothing,
    EntropyBits(u32),
    HandleLength(usize),
}

impl Declared {
    pub(super) fn of(arguments: &Import, format: Format) -> Result<Self, Failure> {
        match (format, arguments.entropy_bits, arguments.handle_length) {
            (Format::Plain, Some(bits), _) => Ok(Self::EntropyBits(bits)),
            (Format::Plain, None, Some(length)) => Ok(Self::HandleLength(length.into())),
            (Format::Plain, None, None) => Err(Failure::Configuration(
                "a plain list says nothing of how hard its keys are to guess, and what can be guessed must not be stored as a mere digest (R7.3): say `--entropy-bits 128` if all of them were generated at random, or `--handle-length 8` to store each as Argon2id under its first 8 characters".to_owned(),
            )),
            (_, None, None) => Ok(Self::Nothing),
            _ => Err(Failure::Configuration(
                "--entropy-bits and --handle-length are for plain lists: here each row has `entropy_bits` or `handle` of its own".to_owned(),
            )),
        }
    }
}

pub(super) fn rows(text: &str, format: Format, declared: &Declared) -> Vec<Row> {
    // Spreadsheets write it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Jsonl => json_lines(text),
        Format::Csv => csv(text),
        Format::Plain => plain(text, declared),
    }
}

/// One line at a time, so that a good row has its line, too.
fn json_lines(text: &str) -> Vec<Row> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(index, line)| Some((index + 1, import::from_json_lines(line).next()?.map_err(|bad| bad.problem))))
        .collect()
}

fn plain(text: &str, declared: &Declared) -> Vec<Row> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let row = |key: &str| match declared {
        Declared::Nothing => json!({ "key": key }),
        Declared::EntropyBits(bits) => json!({ "key": key, "entropy_bits": bits }),
        // A key that is no longer than its handle is refused with the handle.
        Declared::HandleLength(length) => json!({ "key": key, "handle": key.get(..*length).unwrap_or(key) }),
    };
    lines.map(|(index, line)| (index + 1, read(&row(line)))).collect()
}

fn read(row: &Value) -> Result<ImportedKey, String> {
    let line = row.to_string();
    match import::from_json_lines(&line).next() {
        Some(read) => read.map_err(|bad| bad.problem),
        None => Err("the row is empty".to_owned()),
    }
}

/// How the text of a column becomes a value.
#[derive(Clone, Copy)]
enum Column {
    Text,
    /// Separated by blanks.
    List,
    Number,
    Flag,
}

const COLUMNS: [(&str, Column); 16] = [
    ("key", Column::Text),
    ("sha256", Column::Text),
    ("phc", Column::Text),
    ("handle", Column::Text),
    ("entropy_bits", Column::Number),
    ("name", Column::Text),
    ("kind", Column::Text),
    ("owner", Column::Text),
    ("scopes", Column::List),
    ("not_before", Column::Text),
    ("expires_at", Column::Text),
    ("revoked", Column::Flag),
    ("disabled", Column::Flag),
    ("allowed_ips", Column::List),
    ("resource_pattern", Column::Text),
    ("limit", Column::List),
];

fn csv(text: &str) -> Vec<Row> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut lines = Lines { text, byte: 0, line: 1 };
    let mut records = reader.records();
    let Some(header) = records.next() else { return Vec::new() };
    // With a bad heading no row means anything.
    let (line, header) = told(header, &mut lines);
    let columns = match header.and_then(|header| columns(&header)) {
        Ok(columns) => columns,
        Err(problem) => return vec![(line, Err(problem))],
    };
    let rows = records.map(|record| {
        let (line, record) = told(record, &mut lines);
        (line, record.and_then(|record| csv_row(&columns, &record)).and_then(|row| read(&row)))
    });
    rows.collect()
}

/// A record with its line. The reader's own error may quote the record.
fn told(record: csv::Result<csv::StringRecord>, lines: &mut Lines<'_>) -> (usize, Result<csv::StringRecord, String>) {
    let position = match &record {
        Ok(record) => record.position(),
        Err(error) => error.position(),
    };
    (lines.line_of(position), record.map_err(|_| "this is no CSV".to_owned()))
}

/// Counts lines. The reader's own count is that of the empty lines before a record.
struct Lines<'t> {
    text: &'t str,
    byte: usize,
    line: usize,
}

impl Lines<'_> {
    fn line_of(&mut self, position: Option<&csv::Position>) -> usize {
        let start = position.and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or_default();
        let passed = self.text.as_bytes().get(self.byte..start).unwrap_or_default();
        let empty = self.text.as_bytes().get(start..).unwrap_or_default().iter().take_while(|byte| b"\r\n".contains(byte));
        let passed = passed.iter().chain(empty);
        self.line += passed.inspect(|_| self.byte += 1).filter(|byte| **byte == b'\n').count();
        self.line
    }
}

/// Names are told by their place: in a file without a heading, keys stand there.
fn columns(header: &csv::StringRecord) -> Result<Vec<(&'static str, Column)>, String> {
    let names = || COLUMNS.map(|(name, _)| name).join(", ");
    let mut columns: Vec<(&str, Column)> = Vec::new();
    for (index, written) in header.iter().enumerate() {
        let found = COLUMNS.into_iter().find(|(name, _)| *name == written);
        let Some(column) = found else {
            return Err(format!("the first line names the columns, and column {} is none of {}", index + 1, names()));
        };
        if columns.iter().any(|(name, _)| *name == column.0) {
            return Err(format!("there are two columns `{}`", column.0));
        }
        columns.push(column);
    }
    Ok(columns)
}

fn csv_row(columns: &[(&'static str, Column)], record: &csv::StringRecord) -> Result<Value, String> {
    if record.len() != columns.len() {
        return Err(format!(
            "it has {} fields, and the heading {}; a field with a comma stands in quotes",
            record.len(),
            columns.len()
        ));
    }
    let mut row = Map::new();
    for ((name, column), text) in columns.iter().zip(record).filter(|(_, text)| !text.is_empty()) {
        let value = match column {
            Column::Text => json!(text),
            Column::List => text.split_whitespace().collect(),
            Column::Number => json!(text.parse::<u32>().map_err(|_| format!("`{name}` is no whole number"))?),
            Column::Flag => {
                json!(text.to_ascii_lowercase().parse::<bool>().map_err(|_| format!("`{name}` is neither true nor false"))?)
            }
        };
        row.insert((*name).to_owned(), value);
    }
    Ok(Value::Object(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "CANARY-0123456789-0123456789";

    fn problems(rows: &[Row]) -> Vec<(usize, Option<&str>)> {
        rows.iter().map(|(line, row)| (*line, row.as_ref().err().map(String::as_str))).collect()
    }

    /// A name that the core's reader gains or loses has to be here, or not.
    #[test]
    fn every_column_is_a_name_of_the_reader() {
        let mut row = json!({ "colour": "red" });
        let refused = read(&row).unwrap_err();
        for (name, column) in COLUMNS {
            assert!(refused.contains(&format!("`{name}`")), "{refused}");
            row = match column {
                Column::Text => json!({ name: "1" }),
                Column::List => json!({ name: ["1"] }),
                Column::Number => json!({ name: 1 }),
                Column::Flag => json!({ name: true }),
            };
            let problem = read(&row).err().unwrap_or_default();
            assert!(!problem.contains("unknown name") && !problem.contains("wrong type"), "{name}: {problem}");
        }
        assert_eq!(refused.matches('`').count(), 2 * COLUMNS.len(), "{refused}");
    }

    #[test]
    fn rows_of_csv_are_those_of_json() {
        let text = format!(
            "\u{feff}key, name ,entropy_bits,scopes,allowed_ips,resource_pattern,limit,revoked,expires_at\r\n\
             {KEY},\"a, \"\"b\"\"\",128,a:b c:d,10.0.0.0/8 192.0.2.1,/jobs/*,5/minute 9/hour,TRUE,2030-01-01T00:00:00Z\r\n\
             \r\n\
             {KEY},,128,,,,,,\r\n"
        );
        let rows = rows(&text, Format::Csv, &Declared::Nothing);
        assert_eq!(problems(&rows), [(2, None), (4, None)]);
        let (full, bare) = (rows[0].1.as_ref().unwrap(), rows[1].1.as_ref().unwrap());
        assert_eq!((full.name.as_deref(), full.scopes.len(), full.revoked), (Some("a, \"b\""), 2, true));
        assert_eq!((full.limits.as_ref().unwrap().len(), full.networks.as_ref().unwrap().iter().count()), (2, 2));
        assert_eq!(full.resource_pattern.as_ref().map(ToString::to_string).as_deref(), Some("/jobs/*"));
        assert!(
            bare.name.is_none()
                && bare.resource_pattern.is_none()
                && bare.scopes.is_empty()
                && bare.limits.is_none()
                && !bare.revoked
        );
    }

    #[test]
    fn what_is_wrong_in_csv_is_told_by_its_line_and_without_the_key() {
        for (text, lines) in [
            (format!("{KEY}\n{KEY}\n"), &[1][..]),
            (format!("key,key\n{KEY},{KEY}\n"), &[1]),
            (format!("key\n{KEY}\n"), &[2]),
            (format!("key,entropy_bits\n{KEY},many\n{KEY},128\n{KEY}\n{KEY},128,x\n"), &[2, 4, 5]),
            (format!("key,entropy_bits,revoked\n{KEY},128,perhaps\n"), &[2]),
            (format!("key,entropy_bits,expires_at\n\n\n{KEY},128,soon\n"), &[4]),
            (format!("key,entropy_bits,name\n\"{KEY},128,x\n{KEY},128,y\n"), &[2]),
        ] {
            let rows = rows(&text, Format::Csv, &Declared::Nothing);
            let refused: Vec<_> = rows.iter().filter(|(_, row)| row.is_err()).collect();
            assert_eq!(refused.iter().map(|(line, _)| *line).collect::<Vec<_>>(), lines, "{text}");
            assert!(refused.iter().all(|(_, row)| !row.as_ref().unwrap_err().contains("CANARY")), "{:?}", problems(&rows));
        }
    }

    #[test]
    fn plain_lists_are_what_was_declared_of_them() {
        let text = format!("{KEY}\n\n  {KEY}x  \nshort\n");
        let strong = rows(&text, Format::Plain, &Declared::EntropyBits(128));
        assert_eq!(strong.iter().map(|(line, row)| (*line, row.is_ok())).collect::<Vec<_>>(), [(1, true), (3, true), (4, false)]);
        let handled = rows(&text, Format::Plain, &Declared::HandleLength(8));
        let handles: Vec<_> = handled.iter().map(|(_, row)| format!("{:?}", row.as_ref().unwrap().secret)).collect();
        assert!(handles.iter().all(|told| !told.contains("0123")), "{handles:?}");
        assert!(rows(&text, Format::Plain, &Declared::EntropyBits(64)).iter().all(|(_, row)| row.is_err()));
    }
}
