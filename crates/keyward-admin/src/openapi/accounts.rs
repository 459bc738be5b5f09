//! Signing up, in and out; one's own account; everybody's.

use keyward::account::AccountTold;
use utoipa::openapi::Required;
use utoipa::openapi::path::{HttpMethod, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder};

use super::bodies::{AccountChange, Farewell, Names, NewAccount, NewPassword, Registration, SignIn};
use super::draft::{Draft, FORM};
use super::keys::{page_of, text};
use crate::accounts::SessionTold;

const JSON: &str = "application/json";
const SIGNING: &str = "Signing in";
const OWN: &str = "Own account";
const ALL: &str = "Accounts";

pub(super) fn describe(draft: &mut Draft) {
    signing(draft);
    own(draft);
    all(draft);
}

fn signing(draft: &mut Draft) {
    draft
        .operation(SIGNING, "register", "Signs up")
        .saying("Where the service lets everybody do so. Whether there was an account with this address is not told.")
        .open()
        .taking::<Registration>(FORM, Required::True)
        .leading_on("On to where people sign in.")
        .under(HttpMethod::Post, "/api/v1/auth/register", &[]);
    draft
        .operation(SIGNING, "signIn", "Signs in")
        .open()
        .taking::<SignIn>(FORM, Required::True)
        .leading_on("On, with a session as a cookie.")
        .under(HttpMethod::Post, "/api/v1/auth/login", &[]);
    draft
        .operation(SIGNING, "signOut", "Signs out")
        .saying("Ends the session that the request came with, if any.")
        .open()
        .leading_on("On to where people sign in.")
        .under(HttpMethod::Post, "/api/v1/auth/logout", &["415"]);
}

fn own(draft: &mut Draft) {
    let account = draft.schema::<AccountTold>();
    let session = draft.schema::<SessionTold>();
    let sessions = ObjectBuilder::new().property("items", ArrayBuilder::new().items(session)).required("items");
    let sessions = draft.named("Sessions", sessions);
    draft.operation(OWN, "showOwnAccount", "Shows who is signed in").answering("200", "The account.", account.clone()).under(
        HttpMethod::Get,
        "/api/v1/user",
        &["404"],
    );
    draft
        .operation(OWN, "renameOwnAccount", "Changes one's names")
        .taking::<Names>(JSON, Required::True)
        .answering("200", "The account as it is now.", account)
        .under(HttpMethod::Patch, "/api/v1/user", &["404"]);
    draft
        .operation(OWN, "deleteOwnAccount", "Removes one's account")
        .saying("With all its keys and sessions.")
        .taking::<Farewell>(JSON, Required::True)
        .answering_nothing("204", "It is gone.")
        .under(HttpMethod::Delete, "/api/v1/user", &["404"]);
    draft
        .operation(OWN, "changeOwnPassword", "Changes one's password")
        .saying("Every session ends. Who came with a cookie gets a new one.")
        .taking::<NewPassword>(JSON, Required::True)
        .answering_nothing("204", "It is changed.")
        .under(HttpMethod::Post, "/api/v1/user/password", &["404"]);
    draft
        .operation(OWN, "listOwnSessions", "Lists one's sessions")
        .answering("200", "Those that are live, the latest first.", sessions)
        .under(HttpMethod::Get, "/api/v1/user/sessions", &[]);
    draft
        .operation(OWN, "endOtherSessions", "Ends one's other sessions")
        .answering_nothing("204", "Only the one that asks is left.")
        .under(HttpMethod::Delete, "/api/v1/user/sessions", &[]);
    draft
        .operation(OWN, "endOwnSession", "Ends one of one's sessions")
        .parameter(ParameterIn::Path, "id", "The session's id.", text())
        .answering_nothing("204", "It is ended.")
        .under(HttpMethod::Delete, "/api/v1/user/sessions/{id}", &["404"]);
}

fn all(draft: &mut Draft) {
    let account = draft.schema::<AccountTold>();
    let page = draft.named("PageOfAccounts", page_of(account.clone()));
    draft
        .operation(ALL, "listAccounts", "Lists accounts")
        .saying("For administrators.")
        .paged()
        .answering("200", "A page of them.", page)
        .under(HttpMethod::Get, "/api/v1/accounts", &[]);
    draft
        .operation(ALL, "createAccount", "Makes an account")
        .saying(
            "For administrators; and for a key with `keys:manage` that nobody owns as long as there is no account: the first is an administrator's.",
        )
        .taking::<NewAccount>(JSON, Required::True)
        .answering("201", "The account.", account.clone())
        .under(HttpMethod::Post, "/api/v1/accounts", &["409"]);
    draft
        .operation(ALL, "changeAccount", "Changes an account's rights")
        .saying("For administrators, of others' accounts.")
        .parameter(ParameterIn::Path, "id", "The account's id.", text())
        .taking::<AccountChange>(JSON, Required::True)
        .answering("200", "The account as it is now.", account)
        .under(HttpMethod::Patch, "/api/v1/accounts/{id}", &["404", "409"]);
    draft
        .operation(ALL, "deleteAccount", "Removes an account")
        .saying("For administrators, of others' accounts: with all their keys and sessions.")
        .parameter(ParameterIn::Path, "id", "The account's id.", text())
        .answering_nothing("204", "It is gone.")
        .under(HttpMethod::Delete, "/api/v1/accounts/{id}", &["404", "409"]);
}
