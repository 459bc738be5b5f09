//! Events as lines of text, into anything that can be written to. The core opens no file: the host lends one.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use super::{AuditEvent, AuditSink, Level};
use crate::answer::{Answer, Fault};

/// How an event becomes a line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineFormat {
    /// One JSON object with every field.
    Json,
    /// `TIME LEVEL event name=value …`.
    Text,
    /// One JSON object of four fields, `timestamp`, `level`, `logger` and `message`, as Python's services log.
    JsonMessage {
        /// The logger's name.
        logger: String,
    },
    /// The same four, as one line of text.
    TextMessage {
        /// The logger's name.
        logger: String,
    },
}

/// Writes each event as one line, at once: what was answered was written before.
///
/// A write that fails is a fault of that event alone.
pub struct Lines<W> {
    writer: Mutex<(W, Vec<u8>)>,
    format: LineFormat,
    least: Level,
}

impl<W: Write + Send> Lines<W> {
    /// Lines into a writer, one write a line.
    pub fn new(writer: W, format: LineFormat) -> Self {
        Self { writer: Mutex::new((writer, Vec::new())), format, least: Level::Debug }
    }

    /// Leaves out events below a level.
    #[must_use]
    pub fn at_least(mut self, level: Level) -> Self {
        self.least = level;
        self
    }
}

impl<W: Write + Send> AuditSink for Lines<W> {
    fn may_drop(&self) -> bool {
        self.least > Level::Info
    }

    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        if event.level < self.least {
            return Answer::ready(());
        }
        let mut locked = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (writer, line) = &mut *locked;
        line.clear();
        let written = render(event, &self.format, line).and_then(|()| {
            line.push(b'\n');
            writer.write_all(line)?;
            writer.flush()
        });
        Answer::Ready(written.map_err(|error| Fault::new(format!("an audit line was not written: {error}"))))
    }
}

impl<W> fmt::Debug for Lines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("format", &self.format).field("least", &self.least).finish_non_exhaustive()
    }
}

#[derive(serde::Serialize)]
struct Message<'a> {
    timestamp: crate::clock::Timestamp,
    level: &'static str,
    logger: &'a str,
    message: &'a str,
}

fn render(event: &AuditEvent<'_>, format: &LineFormat, line: &mut Vec<u8>) -> std::io::Result<()> {
    match format {
        LineFormat::Json => serde_json::to_writer(line, event)?,
        LineFormat::Text => write!(line, "{} {} {}", event.timestamp, event.level.as_str(), text(event))?,
        LineFormat::JsonMessage { logger } => {
            let message = message(event);
            serde_json::to_writer(
                line,
                &Message { timestamp: event.timestamp, level: event.level.as_str(), logger, message: &message },
            )?;
        }
        LineFormat::TextMessage { logger } => {
            write!(line, "{} {} {logger} {}", event.timestamp, event.level.as_str(), message(event))?
        }
    }
    Ok(())
}

fn message(event: &AuditEvent<'_>) -> String {
    let mut text = event.event.to_owned();
    pair(&mut text, "request_id", event.request_id);
    pair(&mut text, "method", event.method);
    pair(&mut text, "path", event.path);
    pair(&mut text, "client_ip", &event.client_ip.map_or_else(|| "unknown".to_owned(), |address| address.to_string()));
    pair(&mut text, "key_status", event.key_status);
    text
}

fn text(event: &AuditEvent<'_>) -> String {
    let mut text = message(event);
    pair(&mut text, "reason", event.reason);
    let more = [
        ("key_id", event.key_id),
        ("key_prefix", event.key_prefix),
        ("name", event.name),
        ("owner", event.owner),
        ("authenticator", event.authenticator),
        ("source", event.source),
        ("report_only", event.report_only),
    ];
    for (name, value) in more {
        if let Some(value) = value {
            pair(&mut text, name, value);
        }
    }
    let _ = write!(text, " event_id={:032x}", event.event_id);
    if let Some(latency) = event.latency {
        let _ = write!(text, " latency_us={}", latency.as_nanos() as f64 / 1_000.0);
    }
    text
}

/// R11.2: everything outside visible ASCII is escaped, and what separates and escapes here: a value cannot end the line, nor
/// look like another field.
fn pair(text: &mut String, name: &str, value: &str) {
    let _ = write!(text, " {name}=");
    for character in value.chars() {
        match character {
            '\\' | '"' => {
                text.push('\\');
                text.push(character);
            }
            '!'..='~' => text.push(character),
            other => {
                let _ = write!(text, "\\u{{{:x}}}", u32::from(other));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_line() {
        let mut text = String::new();
        pair(&mut text, "path", "/a b\r\n\u{2028}\u{1b}[31m\"\\ä key_status=present");
        assert_eq!(text, " path=/a\\u{20}b\\u{d}\\u{a}\\u{2028}\\u{1b}[31m\\\"\\\\\\u{e4}\\u{20}key_status=present");
    }
}
