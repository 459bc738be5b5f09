//! `keyward audit verify`: whether a file of audit lines is as it was written, or which line is the first that is not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::ExitCode;

use keyward::audit::chain::{Broken, BrokenKind, ChainHash, ChainReader, Linked};
use serde::Serialize;

use super::key;
use crate::arguments::AuditVerify;
use crate::failure::Failure;
use crate::output::{self, visible};

/// How many pieces of writes that were cut off are told one by one.
const TOLD: usize = 100;

pub(crate) fn run(arguments: &AuditVerify) -> Result<ExitCode, Failure> {
    let key = key::read(arguments.key_file().as_ref())?;
    let unreadable = |error: io::Error| Failure::unreadable(None, &arguments.file, &error);
    let reader = ChainReader::new(open(&arguments.file).map_err(unreadable)?, key);
    let found = Found::read(reader, &arguments.expect).map_err(unreadable)?;
    let file = arguments.file.display().to_string();
    if let Some(Broken { line: 1, kind: BrokenKind::Keyed, .. }) = found.broken {
        let problem = "its lines are vouched for with a key; name the file that holds it by --key-file";
        return Err(Failure::Configuration(format!("{}: {problem}", visible(&file))));
    }
    if arguments.json {
        output::print_json(&found.document(&file))?;
    } else {
        output::print(|out| found.tell(&visible(&file), out))?;
    }
    Ok(if found.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn open(file: &Path) -> io::Result<Box<dyn BufRead>> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(BufReader::with_capacity(1024 * 1024, File::open(file)?)))
}

/// What a file turned out to be.
struct Found {
    /// How many lines were whole, up to the first that is broken.
    lines: u64,
    head: Option<ChainHash>,
    broken: Option<Broken>,
    torn: Vec<Torn>,
    torn_in_all: u64,
    expected: Vec<Expected>,
}

#[derive(Serialize)]
struct Torn {
    line: u64,
    bytes: u64,
}

/// A hash that has to be there, and the line that has it.
#[derive(Serialize)]
struct Expected {
    hash: ChainHash,
    line: Option<u64>,
}

impl Found {
    fn read(mut reader: ChainReader<impl BufRead>, expected: &[ChainHash]) -> io::Result<Self> {
        let expected = expected.iter().map(|hash| Expected { hash: *hash, line: None }).collect();
        let mut found = Self { lines: 0, head: None, broken: None, torn: Vec::new(), torn_in_all: 0, expected };
        while let Some(line) = reader.next_line()? {
            match line {
                Ok(linked) => found.add(linked),
                Err(broken) => {
                    found.broken = Some(broken);
                    return Ok(found);
                }
            }
        }
        found.broken = reader.end().err();
        Ok(found)
    }

    fn add(&mut self, Linked { line, sequence, hash, torn_bytes, .. }: Linked) {
        (self.lines, self.head) = (sequence, Some(hash));
        if let Some(bytes) = torn_bytes {
            self.torn_in_all += 1;
            if self.torn.len() < TOLD {
                self.torn.push(Torn { line, bytes });
            }
        }
        for expected in self.expected.iter_mut().filter(|expected| expected.hash == hash) {
            expected.line = Some(line);
        }
    }

    fn missing(&self) -> impl Iterator<Item = &Expected> {
        self.expected.iter().filter(|expected| expected.line.is_none())
    }

    fn is_whole(&self) -> bool {
        self.broken.is_none() && self.missing().next().is_none()
    }

    fn tell(&self, file: &str, out: &mut dyn Write) -> io::Result<()> {
        for Torn { line, bytes } in &self.torn {
            writeln!(
                out,
                "{file}:{line}: note: before this line stand {bytes} bytes of a write that was cut off; the line vouches for them"
            )?;
        }
        if self.torn_in_all > TOLD as u64 {
            writeln!(out, "{file}: note: so it is before {} lines in all", self.torn_in_all)?;
        }
        if let Some(broken) = &self.broken {
            writeln!(out, "{file}:{}: broken: {broken}", broken.line)?;
        }
        // Behind a broken line nothing was read.
        if self.broken.is_none() {
            for Expected { hash, .. } in self.missing() {
                writeln!(
                    out,
                    "{file}: broken: no line has the hash {hash}: lines were taken away at the end, or all were written anew"
                )?;
            }
        }
        let lines = match self.lines {
            1 => "1 line".to_owned(),
            lines => format!("{lines} lines"),
        };
        match (self.head, self.is_whole()) {
            (Some(head), true) => writeln!(out, "{file}: whole: {lines}, the last one's hash is {head}"),
            (Some(head), false) => writeln!(out, "{file}: {lines} up to there, the last one's hash is {head}"),
            (None, true) => writeln!(out, "{file}: whole: it is empty"),
            (None, false) => Ok(()),
        }
    }

    fn document<'f>(&'f self, file: &'f str) -> Document<'f> {
        Document {
            file,
            whole: self.is_whole(),
            lines: self.lines,
            head: self.head,
            broken: self.broken.as_ref().map(|broken| BrokenTold { line: broken.line, problem: broken.to_string() }),
            expected: &self.expected,
            torn: &self.torn,
            torn_in_all: self.torn_in_all,
        }
    }
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'f> {
    file: &'f str,
    whole: bool,
    /// Up to the first that is broken.
    lines: u64,
    head: Option<ChainHash>,
    broken: Option<BrokenTold>,
    expected: &'f [Expected],
    torn: &'f [Torn],
    torn_in_all: u64,
}

#[derive(Serialize)]
struct BrokenTold {
    line: u64,
    problem: String,
}
