//! `keyward keys import`: keys made elsewhere, all of a file or none.

mod formats;
mod progress;

use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

use keyward::import::ImportedKey;
use keyward::store::WhereRefused;
use keyward::{Imported, Secret};
use serde::Serialize;

use super::arguments::{Format, Import};
use super::{Call, Session, count, failed};
use crate::database::Access;
use crate::failure::Failure;
use crate::output::{self, tell, visible};

/// The document of `--json`.
#[derive(Serialize)]
struct Told {
    imported: usize,
    refused: Vec<RefusedRow>,
}

/// A row that is not imported. Never holds the key.
#[derive(Serialize)]
struct RefusedRow {
    line: usize,
    problem: String,
}

pub(super) async fn run(call: &Call<'_>, arguments: &Import) -> Result<ExitCode, Failure> {
    let format = arguments.format.unwrap_or_else(|| format_of(&arguments.file));
    let declared = formats::Declared::of(arguments, format)?;
    let text = read(&arguments.file)?;
    let (mut keys, mut lines, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (line, row) in formats::rows(text.expose(), format, &declared) {
        match row {
            Ok(mut key) => {
                complete(&mut key, arguments);
                keys.push(key);
                lines.push(line);
            }
            Err(problem) => refused.push(RefusedRow { line, problem }),
        }
    }
    let where_refused = match refused.is_empty() {
        _ if arguments.skip_bad => WhereRefused::AddOthers,
        true => WhereRefused::AddNone,
        // So that every fault is told at once.
        false => WhereRefused::OnlyTell,
    };
    let progress = progress::on_terminal(keys.len());
    let import = async |session: &Session| {
        session.check_peppers()?;
        session.keys.import_all(keys, where_refused, progress).await.map_err(failed)
    };
    let done = call.with(Access::Create, import).await;
    progress::end();
    let Imported { count: imported, refused: by_store, .. } = done?;
    refused.extend(
        by_store
            .into_iter()
            .filter_map(|(place, error)| Some(RefusedRow { line: *lines.get(place)?, problem: error.to_string() })),
    );
    refused.sort_by_key(|row| row.line);
    let status = if refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if call.json {
        output::print_json(&Told { imported, refused })?;
        return Ok(status);
    }
    let name = visible(&arguments.file.display().to_string()).into_owned();
    refused.iter().for_each(|RefusedRow { line, problem }| tell(&format!("{name}:{line}: {problem}")));
    if !refused.is_empty() && !arguments.skip_bad {
        tell("nothing was imported; mend these rows, or say --skip-bad to import the others");
    }
    output::print(|out| writeln!(out, "{} imported", count::keys(imported)))?;
    Ok(status)
}

fn format_of(file: &Path) -> Format {
    let extension = file.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("csv") => Format::Csv,
        Some("txt") => Format::Plain,
        _ => Format::Jsonl,
    }
}

/// The file holds keys: it is wiped from memory when it has been read apart.
fn read(file: &Path) -> Result<Secret, Failure> {
    let text = if file.as_os_str() == "-" { io::read_to_string(io::stdin().lock()) } else { fs::read_to_string(file) };
    text.map(Secret::new).map_err(|error| Failure::unreadable(None, file, &error))
}

/// Fills in what the command line says of all keys that do not say it themselves.
fn complete(key: &mut ImportedKey, arguments: &Import) {
    let given = |text: &Option<String>| text.as_deref().map(Into::into);
    key.owner = key.owner.take().or_else(|| given(&arguments.owner));
    key.kind = key.kind.take().or_else(|| given(&arguments.kind));
    if key.scopes.is_empty() {
        key.scopes.clone_from(&arguments.scopes);
    }
}
