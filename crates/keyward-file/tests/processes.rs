//! What only another process can show: the lock, a full disk, a failing one, and an end at any instant.
//!
//! This program is the tests, and by another name the process that they start.

mod support;

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keyward::store::Filter;
use keyward::{Keys, Kind};
use keyward_file::{FileErrorKind, FileStore};
use libtest_mimic::{Arguments, Failed, Trial};

use support::{Folder, ask, clock, create, guard, wait};

const CHILD: &str = "as-a-child";

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, verb, rest @ ..] = &arguments[..]
        && first == CHILD
    {
        return child(verb, rest).map_err(|error| say(&error.to_string()).err().unwrap_or(error));
    }
    let tests: [(&str, fn()); 8] = [
        ("a_second_process_is_refused_until_the_first_has_ended", a_second_process_is_refused_until_the_first_has_ended),
        ("who_has_lost_the_lock_changes_nothing", who_has_lost_the_lock_changes_nothing),
        ("a_change_that_does_not_fit_on_the_disk_is_not_made", a_change_that_does_not_fit_on_the_disk_is_not_made),
        (
            "a_revocation_that_found_no_room_is_written_in_full_when_there_is_some",
            a_revocation_that_found_no_room_is_written_in_full_when_there_is_some,
        ),
        ("a_change_that_the_disk_fails_is_not_made", a_change_that_the_disk_fails_is_not_made),
        ("a_change_that_may_not_last_is_made_again", a_change_that_may_not_last_is_made_again),
        ("an_end_at_any_instant_leaves_the_old_file_or_the_new_one", an_end_at_any_instant_leaves_the_old_file_or_the_new_one),
        ("what_was_acknowledged_outlives_a_kill", what_was_acknowledged_outlives_a_kill),
    ];
    let trials = tests.map(|(name, test)| {
        Trial::test(name, move || std::panic::catch_unwind(test).map_err(|_| Failed::from("it panicked, as told above")))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit()
}

/// What the processes do that the tests start. Each line that they print is one answer.
fn child(verb: &str, rest: &[String]) -> Done {
    let store = FileStore::open(&rest[0])?;
    let keys = Keys::new(store.clone()).acting_as("child");
    match verb {
        "hold" => {
            say("open")?;
            std::io::stdin().read_to_end(&mut Vec::new())?;
        }
        "create" => say(create(&keys, "k").0.as_str())?,
        "create-for-ever" => loop {
            say(create(&keys, "k").0.as_str())?;
        },
        "fill" => fill(&keys, &store, &rest[0])?,
        "revoke-twice" => {
            for _ in 0..2 {
                revoke(&keys, &store, &rest[1])?;
            }
        }
        "revoke-without-room" => {
            set_room(Some(16))?;
            revoke(&keys, &store, &rest[1])?;
            set_room(None)?;
            revoke(&keys, &store, &rest[1])?;
        }
        _ => return Err("no such verb".into()),
    }
    Ok(())
}

/// Revokes the key, and says what came of it. Whatever that is, the key is good no more.
fn revoke(keys: &Keys, store: &FileStore, key: &str) -> Done {
    let id = wait(keys.list(&Filter::default(), None, 1))?[0].id;
    match wait(keys.revoke(&id)) {
        Ok(_) => say("revoked")?,
        Err(error) => say(&error.to_string())?,
    }
    match ask(&guard(store, &clock()), key) {
        Err(Kind::Revoked) => Ok(()),
        other => Err(format!("the key is good still, or gone: {other:?}").into()),
    }
}

/// How many bytes a file may have that this process writes.
fn set_room(bytes: Option<u64>) -> Done {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Fsize).maximum;
    Ok(setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum })?)
}

fn say(line: &str) -> Done {
    let mut out = std::io::stdout();
    // The first try may be the one that strace lets fail.
    if writeln!(out, "{line}").is_err() {
        out.flush()?;
    }
    Ok(())
}

/// Makes keys until there is no room, and judges what is there then.
fn fill(keys: &Keys, store: &FileStore, path: &str) -> Done {
    let mut ids = Vec::new();
    let fault = loop {
        match wait(keys.create(keyward::NewKey::named("k"))) {
            Ok(made) => ids.push(made.record().id),
            Err(fault) => break fault.to_string(),
        }
        if ids.len() > 1_000 {
            return Err("there is room for more than a thousand keys".into());
        }
    };
    let good = |text: &str| fault.contains(text).then_some(()).ok_or(format!("no `{text}` in: {fault}"));
    good("make room for it")?;
    good("nothing was changed")?;
    // Of those that were made within one millisecond the order is none.
    ids.sort_unstable();
    let names = fs::read_dir(Path::new(path).parent().ok_or("no folder")?)?.count();
    if names != 2 {
        return Err(format!("{names} files are there, and not the keys and their lock alone").into());
    }
    let reader = FileStore::builder(path).read_only().open()?;
    for keys in [&Keys::new(store.clone()), &Keys::new(reader)] {
        let there: Vec<_> = wait(keys.list(&Filter::default(), None, 10_000))?.iter().map(|record| record.id).collect();
        if there != ids || ids.is_empty() {
            return Err(format!("{} keys were acknowledged, and {} are there", ids.len(), there.len()).into());
        }
    }
    say("full")
}

fn own() -> std::path::PathBuf {
    std::env::current_exe().unwrap()
}

fn command(verb: &str, path: &Path) -> Command {
    let mut command = Command::new(own());
    command.args([CHILD, verb]).arg(path);
    command
}

/// The child under strace, which lets one call of the system fail, or be the last.
fn traced(call: &str, what: &str, verb: &str, path: &Path) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &format!("inject={call}:{what}")]);
    command.arg(own()).args([CHILD, verb]).arg(path);
    command
}

/// What it printed, and whether it ended well.
fn run(mut command: Command) -> (String, String, bool) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; these tests need strace"));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.success())
}

fn start(verb: &str, path: &Path) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = command(verb, path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

fn line(out: &mut impl BufRead) -> String {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn a_second_process_is_refused_until_the_first_has_ended() {
    let folder = Folder::new();
    for kill in [false, true] {
        let (mut child, mut out) = start("hold", &folder.keys());
        assert_eq!(line(&mut out), "open");
        let error = FileStore::open(folder.keys()).unwrap_err();
        assert_eq!(error.kind(), FileErrorKind::InUse);
        let expected = format!("api-keys.json is in use by process {}: stop it, or make the change through it", child.id());
        assert!(error.to_string().ends_with(&expected), "{error}");
        let (out, _, ended_well) = run(command("create", &folder.keys()));
        assert!(!ended_well && out.trim_end().ends_with(&expected), "{out}");
        FileStore::builder(folder.keys()).read_only().open().unwrap();
        if kill {
            child.kill().unwrap();
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        FileStore::open(folder.keys()).unwrap();
    }
}

fn who_has_lost_the_lock_changes_nothing() {
    let folder = Folder::new();
    let keys = Keys::new(FileStore::open(folder.keys()).unwrap());
    create(&keys, "before");
    fs::remove_file(folder.path().join("api-keys.json.lock")).unwrap();
    let (mut child, mut out) = start("hold", &folder.keys());
    assert_eq!(line(&mut out), "open");
    let before = fs::read(folder.keys()).unwrap();
    let fault = wait(keys.create(keyward::NewKey::named("meanwhile"))).unwrap_err().to_string();
    assert!(fault.contains(&format!("in use by process {}", child.id())) && fault.contains("nothing was changed"), "{fault}");
    assert!(fs::read(folder.keys()).unwrap() == before);
    drop(child.stdin.take());
    child.wait().unwrap();
    create(&keys, "after");
    assert_eq!(FileStore::open(folder.keys()).unwrap_err().kind(), FileErrorKind::InUse);
}

/// On a file system of 64 KiB, where this user may make one; else with the limit of a file's size.
fn a_change_that_does_not_fit_on_the_disk_is_not_made() {
    let folder = Folder::new();
    let small = folder.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted =
        "mount -t tmpfs -o size=64k,mode=0700 none \"$0\" && echo mounted && exec \"$1\" \"$2\" fill \"$0/api-keys.json\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", mounted]).arg(&small).arg(own()).arg(CHILD);
    if let Ok(output) = unshare.output()
        && output.stdout.starts_with(b"mounted")
    {
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "mounted\nfull\n", "{told}");
    }
    // The signal that comes with the limit would end the process before it is told.
    let limited = "trap '' XFSZ; ulimit -f 16; exec \"$1\" \"$2\" fill \"$0/api-keys.json\"";
    let mut limit = Command::new("sh");
    limit.args(["-c", limited]).arg(&small).arg(own()).arg(CHILD);
    let (out, told, ended_well) = run(limit);
    assert!(ended_well && out == "full\n", "{out}{told}");
}

fn a_revocation_that_found_no_room_is_written_in_full_when_there_is_some() {
    let folder = Folder::new();
    let key = with_a_key(&folder);
    let mut trapped = Command::new("sh");
    trapped
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(own())
        .args([CHILD, "revoke-without-room"])
        .arg(folder.keys())
        .arg(key);
    let (out, told, ended_well) = run(trapped);
    let lines: Vec<&str> = out.lines().collect();
    let [fault, "revoked"] = lines[..] else { panic!("{out}{told}") };
    assert!(ended_well && fault.contains("make room") && fault.ends_with("nothing was changed"), "{fault}");
    // By whoever asked, though it was revoked in memory already.
    assert_eq!(journal(&folder), (vec!["create by program".to_owned(), "revoke by child".to_owned()], true));
}

/// A file with one key, and the key.
fn with_a_key(folder: &Folder) -> String {
    let keys = Keys::new(FileStore::open(folder.keys()).unwrap());
    create(&keys, "k").1
}

/// Who did what, and whether the only key is revoked.
fn journal(folder: &Folder) -> (Vec<String>, bool) {
    let keys = Keys::new(FileStore::open(folder.keys()).unwrap());
    let rows = wait(keys.journal(0, 10)).unwrap().into_iter().map(|row| format!("{} by {}", row.action, row.actor));
    let records = wait(keys.list(&Filter::default(), None, 2)).unwrap();
    assert_eq!(records.len(), 1);
    (rows.collect(), records[0].is_revoked())
}

fn a_change_that_the_disk_fails_is_not_made() {
    // Each thread's first: that of the temporary file.
    for (call, error, words) in [
        ("write", "ENOSPC", "make room"),
        ("write", "EIO", "this disk"),
        ("fsync", "EIO", "this disk"),
        ("fsync", "EDQUOT", "make room"),
        ("/^rename", "EIO", "this disk"),
        ("/^rename", "EROFS", "let this user write"),
    ] {
        let folder = Folder::new();
        let key = with_a_key(&folder);
        let before = fs::read(folder.keys()).unwrap();
        let mut failing = traced(call, &format!("error={error}:when=1"), "revoke-twice", &folder.keys());
        failing.arg(&key);
        let (out, told, ended_well) = run(failing);
        let lines: Vec<&str> = out.lines().collect();
        assert!(ended_well && lines.len() == 2, "{call} {error}: {out}{told}");
        for fault in lines {
            assert!(fault.contains(words) && fault.ends_with("nothing was changed"), "{call} {error}: {fault}");
        }
        assert!(fs::read(folder.keys()).unwrap() == before, "{call} {error}: the old file is not there any more");
        assert_eq!(folder.names(), ["api-keys.json", "api-keys.json.lock"], "{call} {error}");
        assert_eq!(journal(&folder), (vec!["create by program".to_owned()], false));
    }
}

fn a_change_that_may_not_last_is_made_again() {
    let folder = Folder::new();
    let key = with_a_key(&folder);
    // Each thread's second is the folder's. After that nothing may pass for written that is not written anew.
    let calls = folder.path().join("calls");
    let mut failing = Command::new("strace");
    failing.args(["-f", "-o"]).arg(&calls).args(["-e", "trace=fsync,/^rename", "-e", "inject=fsync:error=EIO:when=2"]);
    failing.arg(own()).args([CHILD, "revoke-twice"]).arg(folder.keys()).arg(&key);
    let (out, told, ended_well) = run(failing);
    assert!(ended_well && out.lines().count() == 2, "{out}{told}");
    for fault in out.lines() {
        assert!(fault.contains("may be lost if the power fails") && !fault.contains("nothing was changed"), "{fault}");
    }
    let calls = fs::read_to_string(calls).unwrap();
    assert_eq!((calls.matches(" fsync(").count(), calls.matches(" rename").count()), (4, 2), "{calls}");
    assert_eq!(journal(&folder), (vec!["create by program".to_owned(), "revoke by child".to_owned()], true));
}

fn an_end_at_any_instant_leaves_the_old_file_or_the_new_one() {
    // A revocation ends before it is written, before it is synced, before it is renamed, and before the folder is synced.
    for (call, number, is_new) in [("write", 1, false), ("fsync", 1, false), ("/^rename", 1, false), ("fsync", 2, true)] {
        let folder = Folder::new();
        let key = with_a_key(&folder);
        let mut killed = traced(call, &format!("signal=KILL:when={number}"), "revoke-twice", &folder.keys());
        killed.arg(&key);
        let (out, told, ended_well) = run(killed);
        assert!(!ended_well && out.is_empty(), "{call} {number}: {out}{told}");
        assert_eq!(journal(&folder).1, is_new, "{call} {number}");
        assert_eq!(folder.names(), ["api-keys.json", "api-keys.json.lock"], "what was left behind is removed");
    }
    // And the very first file.
    for (call, number) in [("write", 1), ("fsync", 1), ("/^link", 1), ("/^unlink", 1), ("fsync", 2)] {
        let folder = Folder::new();
        let (out, told, ended_well) = run(traced(call, &format!("signal=KILL:when={number}"), "create", &folder.keys()));
        assert!(!ended_well && out.is_empty(), "{call} {number}: {out}{told}");
        let (_, told, ended_well) = run(command("create", &folder.keys()));
        assert!(ended_well, "{call} {number}: {told}");
        assert_eq!(folder.names(), ["api-keys.json", "api-keys.json.lock"], "{call} {number}");
    }
}

fn what_was_acknowledged_outlives_a_kill() {
    let folder = Folder::new();
    let mut acknowledged = Vec::new();
    for round in 0..40 {
        let (mut child, mut out) = start("create-for-ever", &folder.keys());
        acknowledged.push(line(&mut out));
        std::thread::sleep(Duration::from_micros(round * 397));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        acknowledged.extend(rest.lines().map(str::to_owned));
        let keys = Keys::new(FileStore::open(folder.keys()).unwrap());
        let there = wait(keys.list(&Filter::default(), None, usize::MAX)).unwrap();
        let there: Vec<&str> = there.iter().map(|record| record.id.as_str()).collect();
        assert!(acknowledged.iter().all(|id| there.contains(&&**id)), "round {round}: {acknowledged:?} {there:?}");
        assert!(there.len() <= acknowledged.len() + round as usize + 1, "one at a time may be there unacknowledged");
    }
}
