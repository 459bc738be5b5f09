//! The command line of `keyward accounts`.

use clap::{Args, Subcommand};
use keyward::account::{Account, AccountId, EmailAddress};

use super::password::OnCommandLine;
use super::which::Which;
use crate::arguments::Place;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward accounts create --email ada@example.com      asks for the password; the first account is an administrator's
  keyward accounts list
  keyward accounts set-password ada@example.com < password.txt
  keyward accounts disable bob@example.com

An ACCOUNT is its id or its e-mail address. People sign in at /dashboard of `keyward serve`, or by its API.

Exit status: 0 done, 1 refused or not found, 2 wrong usage or configuration, 3 a fault of the store. Whoever can write to the
database can run these commands; its journal of accounts tells each change, by `command line (USER)`.")]
pub(crate) struct Accounts {
    #[command(flatten)]
    pub(super) place: Place,
    /// One JSON document on standard output instead of text
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an account; the password is read from standard input
    Create(Create),
    /// List accounts
    List(List),
    /// Tell what is known of one account
    #[command(after_help = "\
Examples:
  keyward accounts show ada@example.com
  keyward accounts show ID --json")]
    Show(Of),
    /// Switch an account off: it cannot sign in, and its sessions end
    #[command(after_help = "\
Examples:
  keyward accounts disable bob@example.com

Its keys are accepted still, but look after no keys; `keyward keys revoke --owner ID` ends them.")]
    Disable(Of),
    /// Switch an account on again
    #[command(after_help = "\
Examples:
  keyward accounts enable bob@example.com")]
    Enable(Of),
    /// Let an account look after everybody's keys and accounts; its sessions end
    #[command(after_help = "\
Examples:
  keyward accounts make-admin bob@example.com")]
    MakeAdmin(Of),
    /// Let an account look after nothing but its own keys; its sessions end
    #[command(after_help = "\
Examples:
  keyward accounts make-user bob@example.com")]
    MakeUser(Of),
    /// Give an account another password, read from standard input; its sessions end
    SetPassword(SetPassword),
    /// Remove an account for ever, with its sessions; its keys are revoked
    Delete(Delete),
}

/// The account that is meant.
#[derive(Debug, Args)]
pub(super) struct Of {
    /// The account's id or e-mail address
    pub(super) account: Which,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward accounts create --email ada@example.com
  keyward accounts create --email bob@example.com --first-name Bob --admin < password.txt

The password is read from standard input, one line; on a terminal it is asked for twice and not shown. It has at least 8
characters, and is none of those that are guessed first. The first account is an administrator's.")]
pub(super) struct Create {
    /// What it signs in with
    #[arg(long, value_name = "ADDRESS")]
    pub(super) email: EmailAddress,
    /// For people
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true, value_parser = name)]
    pub(super) first_name: Box<str>,
    /// For people
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true, value_parser = name)]
    pub(super) last_name: Box<str>,
    /// Let it look after everybody's keys and accounts
    #[arg(long)]
    pub(super) admin: bool,
    #[command(flatten)]
    pub(super) password: OnCommandLine,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward accounts list
  keyward accounts list --limit 100 --after ID --json

In the order in which accounts were made. On a terminal a table; elsewhere one line for each, its fields separated by tabs, `-` for
none: id, e-mail, name, administrator, state, made. --json: {\"accounts\":[…],\"next\":ID or null}; `next` is what --after takes for
the next page.")]
pub(super) struct List {
    /// At most so many
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,
    /// Accounts behind the one with this id
    #[arg(long, value_name = "ID")]
    pub(super) after: Option<AccountId>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward accounts set-password ada@example.com
  keyward accounts set-password ID < password.txt

The password is read from standard input, one line; on a terminal it is asked for twice and not shown. The old one is not asked for.")]
pub(super) struct SetPassword {
    /// The account's id or e-mail address
    pub(super) account: Which,
    #[command(flatten)]
    pub(super) password: OnCommandLine,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  keyward accounts delete bob@example.com
  keyward accounts delete ID --yes

Asks first, or wants --yes. Refused for the last administrator that is not disabled, as long as there are other accounts. Keys that
were made in its name by `keyward keys create --owner ID` are revoked, too.")]
pub(super) struct Delete {
    /// The account's id or e-mail address
    pub(super) account: Which,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

fn name(text: &str) -> Result<Box<str>, keyward::account::BadName> {
    Account::name(text)
}
