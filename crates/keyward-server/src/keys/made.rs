//! A key just made: shown once, and nowhere but on standard output.

use keyward::Made;
use keyward::store::RecordTold;
use serde::Serialize;

use super::Call;
use crate::failure::Failure;
use crate::output::{tell, try_print, visible, write_json};

/// The document of `--json`: the record, and the key.
#[derive(Serialize)]
struct Told<'k> {
    #[serde(flatten)]
    record: RecordTold,
    key: &'k str,
}

/// Shows it. `lines` are told to people with it; `mend` is what to do where it could not be shown.
pub(super) fn show(call: &Call<'_>, made: &Made, lines: &[String], mend: &str) -> Result<(), Failure> {
    let (record, key) = (made.record(), made.secret().expose());
    let written = if call.json {
        try_print(|out| write_json(out, &Told { record: RecordTold::of(record, call.now, &[]), key }))
    } else {
        tell(&format!("key {} ({}), shown this once:", record.id, visible(&record.name)));
        try_print(|out| writeln!(out, "{key}"))
    };
    written.map_err(|error| {
        Failure::Fault(format!("the new key could not be written to standard output and is lost: {error}; {mend}"))
    })?;
    if !call.json {
        lines.iter().for_each(|line| tell(line));
    }
    Ok(())
}
