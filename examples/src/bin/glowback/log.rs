//! The log: one line a record on standard error, in one of two formats, the same that the audit lines have.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use keyward::Timestamp;
use keyward::audit::Level;
use keyward::clock::{Clock, SystemClock};
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{API_KEY, LogFormat, Settings};

/// Lets the log begin. Nothing is told of other crates: what they write at `DEBUG` is not ours to vouch for.
pub(crate) fn start(settings: &Settings) {
    let level = match settings.log_level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warning => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).event_format(settings.log_format);
    let ours = Targets::new()
        .with_target("glowback", level)
        .with_target("keyward", level)
        .with_target(DEVELOPMENT_MODE, LevelFilter::WARN);
    tracing_subscriber::registry().with(lines.with_filter(ours)).init();
}

/// What is told under it is told at every level.
const DEVELOPMENT_MODE: &str = "glowback.development_mode";

/// Says that no key is set, by the name that the operator knows.
pub(crate) fn tell_development_mode() {
    tracing::warn!(
        target: DEVELOPMENT_MODE,
        "DEVELOPMENT MODE: {API_KEY} is not set, so everybody is let in; set it to the keys, separated by commas",
    );
}

/// Tells each request that was answered, denied ones included.
pub(crate) async fn log_request(ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    // The path, and never the query: a key may stand there.
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    tracing::info!(
        target: "glowback.api.requests",
        // The guard's, which is on every answer.
        request_id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()),
        method = method.as_str(),
        path,
        status = response.status().as_u16(),
        client_ip = %peer.ip().to_canonical(),
        duration_ms = %format_args!("{:.3}", started.elapsed().as_secs_f64() * 1_000.0),
        "request_completed",
    );
    response
}

/// The message, and ` name=value` for each field.
#[derive(Default)]
struct Message {
    message: String,
    fields: String,
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
            return;
        }
        let _ = write!(self.fields, " {}=", field.name());
        for character in value.chars() {
            push_escaped(&mut self.fields, character);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// As in audit lines: a value cannot end its line, nor look like another field.
fn push_escaped(text: &mut String, character: char) {
    match character {
        '\\' | '"' => text.extend(['\\', character]),
        '!'..='~' => text.push(character),
        other => text.extend(other.escape_unicode()),
    }
}

#[derive(Serialize)]
struct JsonLine<'a> {
    timestamp: Timestamp,
    level: &'static str,
    logger: &'a str,
    message: &'a str,
}

impl<S, N> FormatEvent<S, N> for LogFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut told = Message::default();
        event.record(&mut told);
        let message = told.message + &told.fields;
        let timestamp = SystemClock::new().now().wall;
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG | tracing::Level::TRACE => Level::Debug,
        };
        let logger = event.metadata().target();
        match self {
            Self::Json => {
                let line = JsonLine { timestamp, level: level.as_str(), logger, message: &message };
                writeln!(writer, "{}", serde_json::to_string(&line).map_err(|_| fmt::Error)?)
            }
            Self::Text => writeln!(writer, "{timestamp} {} {logger} {message}", level.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_leave_its_line() {
        let mut text = String::new();
        "/a b\r\n\u{1b}\"\\ä".chars().for_each(|character| push_escaped(&mut text, character));
        assert_eq!(text, r#"/a\u{20}b\u{d}\u{a}\u{1b}\"\\\u{e4}"#);
    }
}
