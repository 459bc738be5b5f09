//! `keyward explain`: a request from standard input, decided by the same steps as in `serve`, told and not charged.

mod why;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Style};
use http::{Request, StatusCode};
use keyward::clock::ManualClock;
use keyward::{Explanation, Peer};

use crate::arguments::Explain;
use crate::configuration::Configuration;
use crate::database::Access;
use crate::failure::Failure;
use crate::output::{self, harmless, tell, visible};
use crate::raw_request;

pub(crate) fn run(arguments: &Explain) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Fault(format!("cannot start: {error}")))?.block_on(explain(arguments))
}

async fn explain(arguments: &Explain) -> Result<ExitCode, Failure> {
    let configuration = Configuration::read(&arguments.deciding, Access::Read).await?;
    let guard = configuration.guard(|builder| match arguments.now {
        Some(now) => builder.clock(ManualClock::at(now)),
        None => builder,
    })?;
    if io::stdin().is_terminal() {
        tell("write an HTTP request, and end it with an empty line and Ctrl-D");
    }
    let mut request = raw_request::read(io::stdin().lock())?;
    request.extensions_mut().insert(Peer(arguments.peer));
    let told = guard.explain(&request).await;
    configuration.database.close().await?;
    let why = why::why(&told, &request, guard.policy());
    match arguments.json {
        true => output::print_json(&told)?,
        false => output::print(|out| write_text(out, &told, why.as_deref(), &request, &Look::of(&io::stdout())))?,
    }
    Ok(if told.denial.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Styles, which are empty where colours are not taken.
struct Look {
    good: Style,
    bad: Style,
    heading: Style,
}

impl Look {
    fn of(stream: &impl IsTerminal) -> Self {
        if !output::takes_colours(stream) {
            return Self { good: Style::new(), bad: Style::new(), heading: Style::new() };
        }
        Self { good: AnsiColor::Green.on_default().bold(), bad: AnsiColor::Red.on_default().bold(), heading: Style::new().bold() }
    }
}

fn write_text(out: &mut dyn Write, told: &Explanation, why: Option<&str>, request: &Request<()>, look: &Look) -> io::Result<()> {
    let (verdict, style) = match told.denial {
        None => ("allow".to_owned(), look.good),
        Some(kind) => (format!("deny: {kind}"), look.bad),
    };
    writeln!(out, "{style}{verdict}{style:#}")?;
    // Without the query: it may hold a key.
    write!(out, "{} {}", visible(request.method().as_str()), visible(request.uri().path()))?;
    if let Some(client) = told.client_ip {
        write!(out, " from {client}")?;
    }
    writeln!(out)?;
    if let Some(why) = why {
        writeln!(out, "{}", harmless(why))?;
    }

    if let Some(principal) = &told.principal {
        let none = || "none".to_owned();
        let scopes = if principal.scopes.is_empty() { none() } else { principal.scopes.join(" ") };
        let rows = [
            ("id", principal.id.clone()),
            ("name", principal.name.clone()),
            ("kind", principal.kind.clone().unwrap_or_else(none)),
            ("owner", principal.owner.clone().unwrap_or_else(none)),
            ("scopes", scopes),
            ("key", principal.key_prefix.as_ref().map_or_else(none, |prefix| format!("{prefix}…"))),
            ("known by", principal.authenticator.clone()),
        ];
        table(out, look, "principal", &rows)?;
    }

    let candidates = told
        .candidates
        .iter()
        .map(|candidate| (format!("{} {}", candidate.source.as_str(), candidate.name), candidate.outcome.clone()));
    table(out, look, "candidates", &candidates.collect::<Vec<_>>())?;
    let steps = told.steps.iter().map(|step| (step.step, step.outcome.clone()));
    table(out, look, "steps", &steps.collect::<Vec<_>>())?;

    let reason = StatusCode::from_u16(told.response.status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let answer =
        if told.denial.is_some() { format!("answer: {} {reason}", told.status) } else { "added to the answer".to_owned() };
    table(out, look, &answer, &told.response.headers)?;
    match &told.response.body {
        serde_json::Value::Null => Ok(()),
        serde_json::Value::String(text) => writeln!(out, "\n  {}", visible(text)),
        body => {
            writeln!(out)?;
            // JSON has escapes of its own.
            format!("{body:#}").lines().try_for_each(|line| writeln!(out, "  {}", harmless(line)))
        }
    }
}

/// Two columns, the second aligned.
fn table(out: &mut dyn Write, look: &Look, title: &str, rows: &[(impl AsRef<str>, String)]) -> io::Result<()> {
    let heading = look.heading;
    writeln!(out, "\n{heading}{title}{heading:#}")?;
    if rows.is_empty() {
        writeln!(out, "  none")?;
    }
    let names: Vec<_> = rows.iter().map(|(name, _)| visible(name.as_ref())).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    for (name, (_, value)) in names.iter().zip(rows) {
        writeln!(out, "  {name:width$}  {}", visible(value))?;
    }
    Ok(())
}
