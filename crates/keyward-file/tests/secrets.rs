//! A key is in nothing that comes out: not in the file, not beside it, not in a log, an error or `Debug`.

mod support;

use std::fs;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::import::from_json_lines;
use keyward::store::WhereRefused;
use keyward::{Keys, NewKey};
use keyward_file::FileStore;

use support::{Folder, ask, clock, create, guard, wait};

const CANARY: &str = "CANARYx7Fq2mZk9wLsecret0123456789";

/// Four characters may be shown of a key's secret part; eight may not.
fn assert_clean(what: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        let secret = secret.strip_prefix("kw_").unwrap_or(secret);
        for piece in (0..secret.len() - 8).map(|start| &secret[start..start + 8]) {
            assert!(!text.contains(piece), "{what} holds {piece}: {text}");
        }
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_key_is_in_nothing_that_comes_out() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();

    let folder = Folder::new();
    let (store, clock) = (FileStore::open(folder.keys()).unwrap(), clock());
    let (guard, keys) = (guard(&store, &clock), Keys::new(store.clone()));
    let mut secrets = vec![CANARY.to_owned(), CANARY.to_lowercase()];
    // `CANARYx7` is shown: it is the handle of the second one.
    let rows = [
        format!(r#"{{"key":"{}","entropy_bits":128}}"#, CANARY.to_lowercase()),
        format!(r#"{{"key":"{CANARY}","handle":"CANARYx7"}}"#),
    ];
    let rows = from_json_lines(&rows.join("\n")).collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(wait(keys.import_all(rows, WhereRefused::AddNone, None)).unwrap().count, 2);
    let (id, secret) = create(&keys, "made");
    let rotated = wait(keys.rotate(&id, Duration::from_secs(60))).unwrap();
    secrets.extend([secret, rotated.secret().expose().to_owned()]);
    for secret in &secrets {
        assert!(ask(&guard, secret).is_ok(), "{secret}");
    }
    let backup = fs::read(folder.keys()).unwrap();
    wait(keys.revoke(&id)).unwrap();
    let mut told = format!("{store:?} {keys:?} {:?}", FileStore::builder(folder.keys()));
    folder.restore(&backup);
    clock.advance(Duration::from_secs(1));
    assert!(ask(&guard, &secrets[2]).is_err());
    store.flush().unwrap();
    // A key where none belongs, in a file that cannot be read then.
    let text = fs::read_to_string(folder.keys()).unwrap();
    for (from, to) in [
        ("\"sha256:", &*format!("\"{CANARY}")),
        ("\"keys\": [", &*format!("\"keys\": [ {CANARY}")),
        ("\"name\"", &*format!("\"{CANARY}\"")),
    ] {
        folder.restore(text.replacen(from, to, 2).as_bytes());
        clock.advance(Duration::from_secs(1));
        assert!(ask(&guard, &secrets[2]).is_err());
        told += &wait(keys.create(NewKey::named("n"))).unwrap_err().to_string();
        let error = FileStore::builder(folder.keys()).read_only().open().unwrap_err();
        told += &format!("{error} {error:?}");
    }
    folder.restore(text.as_bytes());
    drop((guard, keys, store));

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("it is refused, and revoked again") && log.contains("cannot be read"), "{log}");
    let secrets: Vec<String> = secrets.into_iter().map(|secret| secret.replace("CANARYx7", "")).collect();
    assert_clean("the log", &log, &secrets);
    assert_clean("what was told", &told, &secrets);
    for name in folder.names() {
        assert_clean(&name, &fs::read_to_string(folder.path().join(&name)).unwrap(), &secrets);
    }
}
