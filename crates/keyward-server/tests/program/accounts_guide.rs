//! docs/accounts.md is true: every command of its `console` blocks is run in the order in which it stands there, and answers what
//! stands behind it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::folder::Folder;
use crate::keyward;

const PAGE: &str = include_str!("../../../../docs/accounts.md");
/// Where the server of the page listens.
const SHOWN: &str = "127.0.0.1:8080";

/// A command, and what it answers; `…` is anything.
#[derive(Debug, Default)]
struct Step {
    command: String,
    answer: String,
}

/// The commands of all blocks.
fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_console = false;
    for line in PAGE.lines() {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if is_console {
            let goes_on = steps.last().is_some_and(|step| step.answer.is_empty() && step.command.ends_with('\\'));
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), answer: String::new() }),
                (None, Some(step)) if goes_on => {
                    step.command.truncate(step.command.len() - 1);
                    step.command.push_str(line.trim_start());
                }
                (None, Some(step)) => {
                    step.answer.push_str(line);
                    step.answer.push('\n');
                }
                (None, None) => panic!("an answer before the first command: {line}"),
            }
        }
    }
    steps
}

/// Blanks and ends of lines do not count: long answers are cut into lines on the page.
fn is_like(pattern: &str, told: &str) -> bool {
    let packed = |text: &str| text.split_whitespace().collect::<String>();
    let (pattern, told) = (packed(pattern), packed(told));
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| told.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// One shell for all commands, so that variables stay.
struct Shell {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Shell {
    const MARK: &str = "-- that was all, with";

    fn start(folder: &Path) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_keyward"));
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let paths = [program.parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&paths));
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc"]).current_dir(folder).env("HOME", folder).env("no_proxy", "*");
        command.env("PATH", std::env::join_paths(paths).unwrap()).stdin(Stdio::piped()).stdout(Stdio::piped());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KEYWARD_")) {
            command.env_remove(name);
        }
        let mut child = command.spawn().expect("bash is installed");
        let (mut to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        writeln!(to, "exec 2>&1").unwrap();
        Self { child, to, from }
    }

    /// What a command says, and its exit status.
    fn run(&mut self, command: &str) -> (String, i32) {
        writeln!(self.to, "{command}\nprintf '\\n%s %s\\n' '{}' $?", Self::MARK).unwrap();
        let (mut said, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "the shell ended: {said}");
            if let Some(status) = line.strip_prefix(Self::MARK) {
                return (said, status.trim().parse().unwrap());
            }
            said.push_str(&line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `keyward serve`, on a port that is free.
struct Serving {
    child: Child,
    address: String,
    said: String,
}

impl Serving {
    fn start(folder: &Path, arguments: &str) -> Self {
        let log = folder.join("serve.log");
        let mut command = keyward();
        command.current_dir(folder).arg("serve").args(arguments.split_whitespace()).args(["--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").expect("it listens").to_owned();
        let mut said = String::new();
        File::open(log).unwrap().read_to_string(&mut said).unwrap();
        Self { child, address, said: said + &line }
    }

    /// The key that is made at the first start.
    fn bootstrap_key(&self) -> &str {
        let line = self.said.lines().find(|line| line.starts_with("bootstrap key")).expect("it tells its bootstrap key");
        line.rsplit(' ').next().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_command_of_the_page_answers_what_the_page_says() {
    let folder = Folder::new();
    let mut shell = Shell::start(&folder);
    let mut server: Option<Serving> = None;
    let mut count = 0;
    for Step { command, answer } in steps() {
        let (said, status) = if let Some(arguments) = command.strip_prefix("keyward serve") {
            let serving = Serving::start(&folder, arguments);
            let said = serving.said.clone();
            server = Some(serving);
            (said, 0)
        } else {
            let server = server.as_ref();
            let command = match command.strip_prefix("read -rs ") {
                // Somebody copies it from the other terminal.
                Some(variable) => format!("{variable}={}", server.expect("it is served by now").bootstrap_key()),
                None => command.replace(SHOWN, server.map_or(SHOWN, |server| &server.address)),
            };
            shell.run(&command)
        };
        let said = server.as_ref().map_or(said.clone(), |server| said.replace(&server.address, SHOWN));
        assert!(status == 0 && is_like(&answer, &said), "$ {command}\nexit status {status}, and not as on the page:\n{said}");
        count += 1;
    }
    assert!(count > 20, "the page has commands");
}

#[test]
fn answers_are_compared_but_for_blanks_and_what_is_left_out() {
    for (pattern, told, like) in [
        ("", "", true),
        ("", "a", false),
        ("a b", " a\nb ", true),
        ("a…", "a", true),
        ("a…c", "abc", true),
        ("a…c", "abd", false),
        ("a…c…e", "a b c d e", true),
        ("a…c…e", "a b d e", false),
        ("…", "anything", true),
    ] {
        assert_eq!(is_like(pattern, told), like, "{pattern:?} {told:?}");
    }
}
