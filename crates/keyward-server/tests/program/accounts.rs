//! `keyward accounts`, and a server that runs beside it.

use keyward::account::{AccountJournalled, AccountStore};
use keyward_behaviour::services::postgres::Postgres;
use keyward_sql::{PostgresStore, SqliteStore};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::server::Server;
use crate::{Ran, keyward, run, run_command, succeed};

const PASSWORD: &str = "a dozen mauve geese";
const OTHER: &str = "seven teal walruses";
const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const JSON: &str = "Content-Type: application/json";

/// A folder, and a database.
struct Accounts {
    folder: Folder,
    database: String,
}

impl Accounts {
    fn new() -> Self {
        Self { folder: Folder::new(), database: "sqlite:keyward.db".to_owned() }
    }

    fn run(&self, arguments: &[&str], input: &str) -> Ran {
        run(&self.folder, &[&["accounts", "--database", &self.database], arguments].concat(), input)
    }

    fn succeed(&self, arguments: &[&str], input: &str) -> Value {
        let all = [&["accounts", "--database", &self.database, "--json"], arguments].concat();
        succeed(&self.folder, &all, input).json()
    }

    /// A new account with the usual password.
    fn create(&self, email: &str, more: &[&str]) -> Value {
        self.succeed(&[&["create", "--email", email], more].concat(), &format!("{PASSWORD}\n"))
    }

    fn serve(&self) -> Server {
        Server::start(&self.folder, &["--database", &self.database])
    }

    fn journal(&self) -> Vec<AccountJournalled> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            match self.database.split_once(':').unwrap() {
                ("sqlite", path) => {
                    let store = SqliteStore::builder(self.folder.join(path)).read_only().open().await.unwrap();
                    store.account_journal(0, 100).wait().await.unwrap()
                }
                _ => {
                    let store = PostgresStore::builder(&self.database).read_only().connect().await.unwrap();
                    store.account_journal(0, 100).wait().await.unwrap()
                }
            }
        })
    }
}

/// The session of who signs in, as a header; the status where nobody is signed in by it.
fn sign_in(server: &Server, email: &str, password: &str) -> Result<String, u16> {
    let form = format!("email={}&password={}", email.replace('@', "%40"), password.replace(' ', "+"));
    let answer = server.send_body("POST", "/api/v1/auth/login", &[FORM], &form);
    match (answer.status, answer.header("set-cookie")) {
        (303, Some(cookie)) => Ok(format!("Cookie: {}", cookie.split_once(';').unwrap().0)),
        (status, _) => Err(status),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn the_first_account_signs_in_and_is_an_administrators() {
    let accounts = Accounts::new();
    let ada = accounts.create("Ada@Example.com", &["--first-name", " Ada ", "--last-name", "Lovelace"]);
    for (field, value) in [
        ("email", json!(ADA)),
        ("first_name", json!("Ada")),
        ("last_name", json!("Lovelace")),
        ("is_admin", json!(true)),
        ("disabled", json!(false)),
    ] {
        assert_eq!(ada[field], value, "{field}");
    }
    assert_eq!(accounts.create(BOB, &[])["is_admin"], json!(false));
    assert_eq!(accounts.create("root@example.com", &["--admin"])["is_admin"], json!(true));

    let server = accounts.serve();
    let session = sign_in(&server, ADA, PASSWORD).unwrap();
    assert_eq!(server.get("/api/v1/user", &[&session]).json(), ada);
    let listed = accounts.succeed(&["list"], "");
    assert_eq!(server.get("/api/v1/accounts", &[&session]).json()["items"], listed["accounts"]);
    assert_eq!(sign_in(&server, BOB, OTHER), Err(401));
    assert!(sign_in(&server, BOB, PASSWORD).is_ok());
}

#[test]
fn an_account_is_named_by_its_id_or_its_address_and_shown_to_people() {
    let accounts = Accounts::new();
    let ran = accounts.run(&["create", "--email", ADA], &format!("{PASSWORD}\n"));
    assert!(ran.status == 0 && ran.err.contains("since it is the first"), "{ran:?}");
    let id = accounts.succeed(&["show", ADA], "")["id"].clone();
    assert_eq!(accounts.succeed(&["show", text(&id)], ""), accounts.succeed(&["show", "ADA@example.com"], ""));
    let shown = accounts.run(&["show", ADA], "").out;
    for line in [format!("id {}", text(&id)), format!("e-mail {ADA}"), "administrator yes".to_owned(), "state live".to_owned()] {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(shown.lines().any(|shown| words(shown) == words(&line)), "{line}: {shown}");
    }
    let line = accounts.run(&["list"], "").out;
    assert_eq!(line.trim_end().split('\t').collect::<Vec<_>>()[..5], [text(&id), ADA, "-", "yes", "live"]);
}

#[test]
fn a_list_goes_on_where_the_page_before_ended() {
    let accounts = Accounts::new();
    let all: Vec<Value> = ["a@b", "b@b", "c@b"].iter().map(|email| accounts.create(email, &[])["id"].clone()).collect();
    let ids = |document: &Value| {
        document["accounts"].as_array().unwrap().iter().map(|account| account["id"].clone()).collect::<Vec<_>>()
    };
    let first = accounts.succeed(&["list", "--limit", "2"], "");
    assert_eq!((ids(&first), &first["next"]), (all[..2].to_vec(), &all[1]));
    let rest = accounts.succeed(&["list", "--limit", "2", "--after", text(&first["next"])], "");
    assert_eq!((ids(&rest), &rest["next"]), (all[2..].to_vec(), &json!(null)));
    assert_eq!(ids(&accounts.succeed(&["list"], "")), all);
}

/// Each change ends the sessions in the server that runs, and has its row.
fn changes(accounts: &Accounts) {
    accounts.create(ADA, &[]);
    let bob = accounts.create(BOB, &[]);
    let id = text(&bob["id"]);
    let server = accounts.serve();
    let is_signed_in = |session: &str| server.get("/api/v1/user", &[session]).status == 200;
    let mut password = PASSWORD;
    for (command, input, field, value) in [
        ("make-admin", "", "is_admin", json!(true)),
        ("make-user", "", "is_admin", json!(false)),
        ("set-password", "seven teal walruses\n", "email", json!(BOB)),
        ("disable", "", "disabled", json!(true)),
    ] {
        let session = sign_in(&server, BOB, password).unwrap();
        assert!(is_signed_in(&session), "before {command}");
        assert_eq!(accounts.succeed(&[command, BOB], input)[field], value, "{command}");
        assert!(!is_signed_in(&session), "after {command}");
        if command == "set-password" {
            assert_eq!(sign_in(&server, BOB, PASSWORD), Err(401));
            password = OTHER;
        }
    }
    assert_eq!(sign_in(&server, BOB, OTHER), Err(401), "switched off");
    assert_eq!(accounts.succeed(&["enable", id], "")["disabled"], json!(false));

    // A key of his, in the server's hands.
    let session = sign_in(&server, BOB, OTHER).unwrap();
    let made = server.send_body("POST", "/api/v1/user/api-keys", &[&session, JSON], r#"{"name":"ci"}"#);
    assert_eq!(made.status, 201, "{made:?}");
    let ran = accounts.run(&["delete", BOB], "");
    assert!(ran.status == 2 && ran.err.contains("revoke 1 key,") && ran.err.contains("--yes"), "{ran:?}");
    assert!(is_signed_in(&session));
    let deleted = accounts.succeed(&["delete", BOB, "--yes"], "");
    assert_eq!((&deleted["deleted"], &deleted["revoked"]), (&bob["id"], &json!([made.json()["id"]])));
    assert!(!is_signed_in(&session));
    assert_eq!(sign_in(&server, BOB, OTHER), Err(401));
    let shown =
        succeed(&accounts.folder, &["keys", "--database", &accounts.database, "show", "--json", text(&made.json()["id"])], "");
    assert_eq!(shown.json()["state"], "revoked");

    let rows = accounts.journal();
    let told: Vec<(&str, &str)> = rows.iter().map(|row| (&*row.action, &*row.actor)).collect();
    let by = "command line (grace)";
    let actions = ["create", "create", "admin", "admin", "password", "disable", "disable", "disable", "remove"];
    assert_eq!(told, actions.map(|action| (action, by)));
    let is_admin = |told: &Option<Value>| told.as_ref().map(|told| told["is_admin"].clone());
    assert_eq!((is_admin(&rows[2].before), is_admin(&rows[2].after)), (Some(json!(false)), Some(json!(true))));
    for row in &rows {
        let row = serde_json::to_string(row).unwrap();
        assert!(!row.contains("geese") && !row.contains("walruses") && !row.contains("argon2"), "{row}");
    }
    let errors = server.stop("TERM").1;
    assert!(!errors.contains("geese") && !errors.contains("walruses"), "{errors}");
}

#[test]
fn in_sqlite_changes_end_sessions_at_once_and_are_journalled() {
    changes(&Accounts::new());
}

#[test]
fn in_postgres_changes_end_sessions_at_once_and_are_journalled() {
    let server = Postgres::start().unwrap();
    changes(&Accounts { folder: Folder::new(), database: server.create_database().unwrap() });
}

#[test]
fn the_last_administrator_stays_as_long_as_there_are_others() {
    let accounts = Accounts::new();
    accounts.create(ADA, &[]);
    accounts.create(BOB, &["--admin"]);
    accounts.succeed(&["disable", BOB], "");
    let refused = accounts.run(&["delete", ADA, "--yes"], "");
    assert!(refused.status == 1 && refused.err.contains("last administrator"), "{refused:?}");
    assert_eq!(accounts.succeed(&["show", ADA], "")["disabled"], json!(false), "nothing was begun");
    accounts.succeed(&["enable", BOB], "");
    accounts.succeed(&["delete", ADA, "--yes"], "");
    // And who is the last of all may go.
    accounts.succeed(&["delete", BOB, "--yes"], "");
    assert_eq!(accounts.create(ADA, &[])["is_admin"], json!(true));
}

#[test]
fn passwords_and_addresses_are_those_that_registering_takes() {
    let accounts = Accounts::new();
    for (email, password, told) in [
        (ADA, "gx7wq2m", "`password` is too short: at least 8 characters"),
        (ADA, "password", "`password` is one of the first that are guessed"),
        (ADA, "ADA@example.com", "`password` is known to everybody"),
        (ADA, "", "there is no password on standard input"),
        ("ada", PASSWORD, "no e-mail address"),
        ("\u{430}da@example.com", PASSWORD, "no e-mail address"),
    ] {
        let ran = accounts.run(&["create", "--email", email], &format!("{password}\n"));
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran:?}");
        assert!(ran.err.contains(told), "{told}: {ran:?}");
        assert!(password.is_empty() || password == "password" || !ran.err.contains(password), "{ran:?}");
    }
    assert_eq!(accounts.folder.names(), [""; 0], "nothing is made for it");
    accounts.create(ADA, &[]);
    let taken = accounts.run(&["create", "--email", "ADA@example.com"], OTHER);
    assert!(taken.status == 1 && taken.err.contains("there is an account with this e-mail address already"), "{taken:?}");
    let known = accounts.run(&["set-password", ADA], "ada@example.com\n");
    assert!(known.status == 2 && known.err.contains("`password` is known to everybody"), "{known:?}");
}

#[test]
fn the_password_is_one_line_and_however_a_keyboard_writes_it() {
    let accounts = Accounts::new();
    let input = "  cafe\u{301} on a dozen  \r\nsomething else\n";
    accounts.succeed(&["create", "--email", ADA], input);
    let server = accounts.serve();
    assert!(sign_in(&server, ADA, "  caf%C3%A9 on a dozen  ").is_ok());
    assert_eq!(sign_in(&server, ADA, "caf%C3%A9 on a dozen"), Err(401));
}

#[test]
fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    let accounts = Accounts::new();
    for arguments in [
        &["create", "--email", ADA, "--password", "CANARY"][..],
        &["create", "--email", ADA, "--password=CANARY"],
        &["create", "--email", ADA, "--password"],
        &["create", "--email", ADA, "CANARY"],
        &["create", "CANARY"],
        &["set-password", ADA, "CANARY"],
        &["set-password", ADA, "CANARY", "CANARY"],
        &["set-password", ADA, "--password", "CANARY"],
    ] {
        let ran = accounts.run(arguments, &format!("{PASSWORD}\n"));
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran:?}");
        assert!(!ran.err.is_empty() && !ran.err.contains("CANARY"), "{ran:?}");
    }
    assert_eq!(accounts.folder.names(), [""; 0]);
}

#[test]
fn what_keeps_no_accounts_is_told_and_left_as_it_is() {
    let folder = Folder::new();
    for (database, told) in [
        ("json:keys.json", "--database: a JSON file keeps keys and no accounts; name a SQLite or PostgreSQL database"),
        ("memory:", "--database: accounts in memory are gone when this command ends"),
    ] {
        for command in [&["create", "--email", ADA][..], &["list"], &["show", ADA], &["set-password", ADA], &["delete", ADA]] {
            let ran = run(&folder, &[&["accounts", "--database", database], command].concat(), &format!("{PASSWORD}\n"));
            assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran:?}");
            assert!(ran.err.starts_with(told), "{ran:?}");
        }
    }
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn who_is_not_there_is_1_and_nothing_is_made() {
    let folder = Folder::new();
    for command in ["show", "disable", "enable", "make-admin", "make-user", "set-password", "delete"] {
        for account in [ADA, "nobody"] {
            let ran = run(&folder, &["accounts", command, account], &format!("{PASSWORD}\n"));
            assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{ran:?}");
            assert!(ran.err.starts_with(&format!("{account}: there is no such account")), "{ran:?}");
        }
    }
    assert_eq!(run(&folder, &["accounts", "list", "--json"], "").json(), json!({"accounts": [], "next": null}));
    let missing = run(&folder, &["accounts", "list", "--database", "sqlite:missing.db"], "");
    assert!(missing.status == 2 && missing.err.contains("there is no sqlite:missing.db"), "{missing:?}");
    assert_eq!(folder.names(), [""; 0]);
    let wrong = run(&folder, &["accounts", "show", "no id"], "");
    assert!(wrong.status == 2 && wrong.err.contains("an account id is 1 to 36 characters"), "{wrong:?}");
}

#[test]
fn a_database_that_the_command_made_is_good_to_serve() {
    let accounts = Accounts::new();
    let mut command = keyward();
    command.current_dir(&*accounts.folder).args(["accounts", "create", "--email", ADA]);
    assert_eq!(run_command(&mut command, &format!("{PASSWORD}\n")).status, 0);
    let server = accounts.serve();
    let session = sign_in(&server, ADA, PASSWORD).unwrap();
    assert_eq!(server.get("/dashboard/keys", &[&session]).status, 200);
    assert!(server.stop("TERM").1.contains("bootstrap key"), "the first start makes one all the same");
}

/// A terminal, as seen from the side of whoever types.
#[cfg(unix)]
mod terminal {
    use std::fs::{File, OpenOptions};
    use std::io::{Read, Write};
    use std::os::unix::ffi::OsStrExt;
    use std::process::{ChildStderr, Command, Stdio};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};

    use super::{ADA, Accounts, OTHER, PASSWORD, sign_in};
    use crate::{Ran, keyward};

    struct Terminal {
        keyboard: File,
        other_end: File,
    }

    impl Terminal {
        fn new() -> Self {
            let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
            grantpt(&keyboard).unwrap();
            unlockpt(&keyboard).unwrap();
            let name = ptsname(&keyboard, Vec::new()).unwrap();
            let name = std::ffi::OsStr::from_bytes(name.as_bytes());
            let mut options = OpenOptions::new();
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NOCTTY.bits().cast_signed());
            let other_end = options.read(true).write(true).open(name).unwrap();
            Self { keyboard: keyboard.into(), other_end }
        }

        /// Runs a command, and types each line once it is asked for. What was left behind, and what the terminal showed.
        fn run(&mut self, command: &mut Command, lines: &[&str]) -> (Ran, String) {
            command.stdin(Stdio::from(self.other_end.try_clone().unwrap()));
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut errors = child.stderr.take().unwrap();
            let mut told = String::new();
            for line in lines {
                told.push_str(&until_asked(&mut errors));
                writeln!(self.keyboard, "{line}").unwrap();
            }
            errors.read_to_string(&mut told).unwrap();
            let mut ran = Ran::from(child.wait_with_output().unwrap());
            ran.err = told;
            // What is shown ends with what is written last.
            self.other_end.write_all(b"$").unwrap();
            let mut shown = Vec::new();
            while shown.last() != Some(&b'$') {
                let mut byte = [0];
                self.keyboard.read_exact(&mut byte).unwrap();
                shown.push(byte[0]);
            }
            (ran, String::from_utf8(shown).unwrap())
        }

        fn shows_what_is_typed(&self) -> bool {
            tcgetattr(&self.other_end).unwrap().local_modes.contains(LocalModes::ECHO)
        }
    }

    fn until_asked(errors: &mut ChildStderr) -> String {
        let mut told = Vec::new();
        while !told.ends_with(b": ") {
            let mut byte = [0];
            errors.read_exact(&mut byte).unwrap_or_else(|_| panic!("nothing is asked: {}", String::from_utf8_lossy(&told)));
            told.push(byte[0]);
        }
        String::from_utf8(told).unwrap()
    }

    #[test]
    fn what_is_typed_is_not_shown_and_asked_for_twice() {
        let accounts = Accounts::new();
        let mut terminal = Terminal::new();
        let create = |more: &[&str]| {
            let mut command = keyward();
            command.current_dir(&*accounts.folder).args(["accounts"]).args(more);
            command
        };
        let (ran, shown) = terminal.run(&mut create(&["create", "--email", ADA]), &[PASSWORD, OTHER]);
        assert!(ran.status == 2 && ran.err.contains("the two differ"), "{ran:?}");
        assert_eq!((shown.as_str(), terminal.shows_what_is_typed()), ("\r\n\r\n$", true));
        assert_eq!(accounts.folder.names(), [""; 0]);

        let (ran, shown) = terminal.run(&mut create(&["create", "--email", ADA]), &[PASSWORD, PASSWORD]);
        assert_eq!((ran.status, shown.as_str()), (0, "\r\n\r\n$"), "{ran:?}");
        assert!(ran.err.starts_with("password for ada@example.com: once more: "), "{ran:?}");
        assert!(!ran.err.contains(PASSWORD) && !ran.out.contains(PASSWORD) && terminal.shows_what_is_typed());

        let (ran, shown) = terminal.run(&mut create(&["set-password", ADA]), &[OTHER, OTHER]);
        assert_eq!((ran.status, shown.as_str()), (0, "\r\n\r\n$"), "{ran:?}");
        assert!(sign_in(&accounts.serve(), ADA, OTHER).is_ok());

        let (ran, _) = terminal.run(&mut create(&["set-password", "nobody"]), &[]);
        assert_eq!(ran.status, 1, "nobody types a password for nobody: {ran:?}");
    }
}
