//! Entries as files: lines of JSON, and tables that spreadsheets open.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use keyward::Fault;
use serde_json::Value;

use super::entry::Entry;
use super::{Found, Query};
use crate::answer::{self, Answer};
use crate::fault::Refusal;
use crate::form::Form;

const COLUMNS: [&str; 14] = [
    "id",
    "at",
    "subject",
    "action",
    "outcome",
    "reason",
    "actor",
    "key_id",
    "key_name",
    "owner",
    "account_id",
    "email",
    "address",
    "changes",
];

/// One object a line.
pub(super) fn json_lines(found: &Found, form: &Form) -> Answer {
    let mut text = Vec::new();
    for entry in &found.entries {
        // Texts, numbers and lists of them: there is nothing that could fail.
        let _ = serde_json::to_writer(&mut text, entry);
        text.push(b'\n');
    }
    file("application/jsonl", "keyward-audit.jsonl", text.into(), found, form)
}

/// A table (RFC 4180), the names of its columns in the first row.
pub(super) fn csv(found: &Found, form: &Form) -> Result<Answer, Refusal> {
    let failed = |error: &dyn std::fmt::Display| Refusal::Failed(Fault::new(format!("the table could not be made: {error}")));
    let mut table = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
    table.write_record(COLUMNS).map_err(|error| failed(&error))?;
    for entry in &found.entries {
        table.write_record(cells(entry)).map_err(|error| failed(&error))?;
    }
    let text = table.into_inner().map_err(|error| failed(&error.error()))?;
    Ok(file("text/csv; charset=utf-8; header=present", "keyward-audit.csv", text.into(), found, form))
}

fn cells(entry: &Entry) -> [String; COLUMNS.len()] {
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let changes: Vec<String> = entry
        .changes
        .iter()
        .map(|change| format!("{}: {} -> {}", change.field, told(&change.before), told(&change.after)))
        .collect();
    [
        entry.id.clone(),
        entry.at.to_string(),
        entry.subject.as_str().to_owned(),
        entry.action.clone(),
        entry.outcome.as_str().to_owned(),
        entry.reason.unwrap_or_default().to_owned(),
        optional(&entry.actor),
        entry.key_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        optional(&entry.key_name),
        optional(&entry.owner),
        optional(&entry.account_id),
        optional(&entry.email),
        optional(&entry.address),
        changes.join("; "),
    ]
    .map(harmless)
}

fn told(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Spreadsheets take a cell that begins like this for a formula, and formulas can send what is beside them elsewhere. The mark in front
/// makes it a text, and they do not show it. Full-width forms are taken for the plain ones where people write with them.
fn harmless(text: String) -> String {
    const BEGINS_A_FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    if text.starts_with(BEGINS_A_FORMULA) { format!("'{text}") } else { text }
}

/// To be saved, with where the next piece is (RFC 8288).
fn file(content_type: &'static str, name: &'static str, text: Bytes, found: &Found, form: &Form) -> Answer {
    let mut answer = answer::typed(StatusCode::OK, content_type, text);
    let headers = answer.headers_mut();
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    headers.insert(header::CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    if let Some(next) = &found.next {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for field in Query::FIELDS.into_iter().filter(|field| *field != "after" && form.has(field)) {
            query.append_pair(field, form.get(field));
        }
        let link = format!("</api/v1/audit?{}>; rel=\"next\"", query.append_pair("after", next).finish());
        if let Ok(link) = HeaderValue::from_str(&link) {
            headers.insert(header::LINK, link);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_a_formula() {
        for begin in ["=", "+", "-", "@", "\t", "\r", "\n", "\u{ff1d}", "\u{ff20}"] {
            assert_eq!(harmless(format!("{begin}1+1")), format!("'{begin}1+1"));
        }
        for plain in ["", "a=1", " =1", "'=1", "1-1", "2027-01-31T12:00:00.000Z"] {
            assert_eq!(harmless(plain.to_owned()), plain);
        }
    }
}
