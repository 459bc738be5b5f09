//! `keyward accounts set-password`, and how a password comes in: by standard input alone, and never shown.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Args;
use zeroize::Zeroizing;

use super::arguments::SetPassword;
use super::{Call, Session, failed, show};
use crate::database::Access;
use crate::failure::Failure;
use crate::first_line;
use crate::output::tell;

pub(super) async fn run(call: &Call<'_>, arguments: &SetPassword) -> Result<ExitCode, Failure> {
    arguments.password.refuse("set-password ACCOUNT")?;
    let set = async |session: &Session| {
        let account = arguments.account.find(session).await?;
        let password = read(account.address.as_str(), "set-password ACCOUNT")?;
        session.accounts.set_password(&account.id, &password).await.map_err(failed)
    };
    let account = call.with(Access::Change, set).await?;
    show::tell(call, &account)?;
    if !call.json {
        tell("its sessions have ended: it has to sign in again");
    }
    Ok(ExitCode::SUCCESS)
}

/// A password on the command line: taken, so that it can be refused without being repeated.
#[derive(Debug, Args)]
pub(super) struct OnCommandLine {
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "")]
    password: Option<OsString>,
    #[arg(hide = true)]
    words: Vec<OsString>,
}

impl OnCommandLine {
    /// `command` is how it is written right.
    pub(super) fn refuse(&self, command: &str) -> Result<(), Failure> {
        if self.password.is_none() && self.words.is_empty() {
            return Ok(());
        }
        Err(Failure::Configuration(format!(
            "a password on the command line can be read by everybody on this machine, and stays in the shell's history: write it to standard input, like `keyward accounts {command} < password.txt`, or type it when you are asked; and consider one that you wrote there told"
        )))
    }
}

/// The first line of standard input; on a terminal it is typed twice, unseen.
pub(super) fn read(whose: &str, command: &str) -> Result<Zeroizing<String>, Failure> {
    let password = if io::stdin().is_terminal() { typed(whose)? } else { line()? };
    if password.is_empty() {
        let problem = "there is no password on standard input";
        return Err(Failure::Configuration(format!(
            "{problem}; write it there, like `keyward accounts {command} < password.txt`"
        )));
    }
    Ok(password)
}

fn typed(whose: &str) -> Result<Zeroizing<String>, Failure> {
    let _hidden = hidden::Hidden::begin()?;
    let ask = |question: &str| {
        let asked = write!(io::stderr().lock(), "{question}: ");
        asked.map_err(|error| Failure::Fault(format!("cannot ask: {error}")))?;
        line()
    };
    let first = ask(&format!("password for {whose}"))?;
    if ask("once more")? != first {
        return Err(Failure::Configuration("the two differ, and nothing was done; try again".to_owned()));
    }
    Ok(first)
}

fn line() -> Result<Zeroizing<String>, Failure> {
    let line = first_line::read()?;
    let text = std::str::from_utf8(&line).map_err(|_| Failure::Configuration("the password is no UTF-8".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(unix)]
mod hidden {
    use std::io;

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    use crate::failure::Failure;

    /// A terminal that does not show what is typed, until this is dropped. Whoever ends the program by a signal meanwhile has the
    /// shell set it right.
    pub(super) struct Hidden {
        before: Termios,
    }

    impl Hidden {
        pub(super) fn begin() -> Result<Self, Failure> {
            let cannot = |error| Failure::Fault(format!("cannot hide what is typed: {error}"));
            let before = tcgetattr(io::stdin()).map_err(cannot)?;
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            // The end of the line is seen.
            hidden.local_modes.insert(LocalModes::ECHONL);
            // What was typed before anybody asked was seen, and is not taken.
            tcsetattr(io::stdin(), OptionalActions::Flush, &hidden).map_err(cannot)?;
            Ok(Self { before })
        }
    }

    impl Drop for Hidden {
        fn drop(&mut self) {
            // There is nobody left to tell when that fails.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
        }
    }
}

#[cfg(not(unix))]
mod hidden {
    use crate::failure::Failure;

    pub(super) struct Hidden;

    impl Hidden {
        pub(super) fn begin() -> Result<Self, Failure> {
            Err(Failure::Configuration(
                "what is typed here would be seen; write the password to standard input by a pipe".to_owned(),
            ))
        }
    }
}
