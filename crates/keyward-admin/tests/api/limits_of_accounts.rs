//! What must not become of accounts: rights that outlive them, nobody left to look after them, or any number of them.

use keyward::account::{Account, AccountStore, MemoryAccounts, PasswordHash};
use keyward::store::Attribution;
use keyward::{Keys, MemoryStore, SystemRandom, Timestamp};
use keyward_admin::{Admin, AdminError};
use pollster::block_on as wait;
use serde_json::json;

use crate::client::{ACCOUNTS, Caller, KEYS, PASSWORD, Service, USER};

#[test]
fn a_key_of_an_account_that_is_switched_off_looks_after_no_keys() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let ada = Caller::bearer(&service.sign_up("ada@example.com"));
    let account = format!("{ACCOUNTS}/{}", service.id_of(&ada));
    let (id, manager) = service.make_key(&ada, r#"{"name":"manager","scopes":["keys:manage"]}"#);
    let manager = Caller::bearer(&manager);
    assert_eq!(service.get(KEYS, &manager).status, 200);
    assert_eq!(service.json("PATCH", &account, &root, r#"{"disabled":true}"#).status, 200);
    for reply in [
        service.get(KEYS, &manager),
        service.json("POST", KEYS, &manager, r#"{"name":"more"}"#),
        service.json("POST", &format!("{KEYS}/{id}/rotate"), &manager, "{}"),
        service.delete(&format!("{KEYS}/{id}"), &manager),
    ] {
        assert_eq!(reply.status, 403, "{reply:?}");
    }
    assert_eq!(service.json("PATCH", &account, &root, r#"{"disabled":false}"#).status, 200);
    assert_eq!(service.get(KEYS, &manager).status, 200);
}

#[test]
fn a_key_of_an_owner_that_never_had_an_account_looks_after_that_owners_keys() {
    let service = Service::new();
    for owner in ["ada", "team-7.reports", "0123456789abcdef0123456789abcdeg"] {
        let key = Caller::bearer(&service.key_of(owner, &["keys:manage"]));
        assert_eq!(service.get(KEYS, &key).status, 200, "{owner}");
        assert_eq!(service.json("POST", KEYS, &key, r#"{"name":"more"}"#).status, 201, "{owner}");
    }
    let key = Caller::bearer(&service.key_of("0123456789abcdef0123456789abcdef", &["keys:manage"]));
    assert_eq!(service.get(KEYS, &key).status, 403, "an account that is gone");
}

#[test]
fn an_account_is_asked_for_whatever_its_id_looks_like() {
    let accounts = MemoryAccounts::new();
    let service = Service::over(accounts.clone(), |builder| builder);
    let now = Timestamp::from_unix_seconds(1_800_000_000);
    let account = Account {
        id: "ada".parse().unwrap(),
        address: "ada@example.com".parse().unwrap(),
        first_name: Box::default(),
        last_name: Box::default(),
        password: PasswordHash::of(PASSWORD, &SystemRandom).unwrap(),
        is_admin: false,
        is_disabled: true,
        created: now,
    };
    wait(accounts.add_account(account, false, Attribution { actor: "elsewhere".into(), at: now }).wait()).unwrap().unwrap();
    let key = Caller::bearer(&service.key_of("ada", &["keys:manage"]));
    assert_eq!(service.get(KEYS, &key).status, 403);
}

#[test]
fn the_last_administrator_stays_as_long_as_there_are_others_to_look_after() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let ada = Caller::bearer(&service.sign_up("ada@example.com"));
    let account = format!("{ACCOUNTS}/{}", service.id_of(&ada));
    let password = json!({ "password": PASSWORD }).to_string();
    assert_eq!(service.json("DELETE", USER, &root, &password).status, 409);
    assert!(service.knows(&root));

    // One who is switched off looks after nobody.
    assert_eq!(service.json("PATCH", &account, &root, r#"{"is_admin":true,"disabled":true}"#).status, 200);
    assert_eq!(service.json("DELETE", USER, &root, &password).status, 409);
    assert_eq!(service.json("PATCH", &account, &root, r#"{"disabled":false}"#).status, 200);
    assert_eq!(service.json("DELETE", USER, &root, &password).status, 204);

    // The last of all may go: then there is a first account again.
    let ada = Caller::bearer(&service.token("ada@example.com"));
    assert_eq!(service.json("DELETE", USER, &ada, &password).status, 204);
    service.first_administrator("root@example.com");
}

#[test]
fn one_client_signs_up_a_bounded_number_of_accounts() {
    let service = Service::new();
    let status = |number: u32| service.register(&format!("a{number}@example.com"), PASSWORD).status;
    for number in 0..100 {
        assert_eq!(status(number), 303, "{number}");
    }
    let refused = service.register("a100@example.com", PASSWORD);
    assert_eq!((refused.status, refused.header("retry-after")), (429, "900"));
    // A taken address like a free one; and another client is not concerned.
    assert_eq!(status(0), 429);
    service.come_from([192, 0, 2, 99]);
    assert_eq!(status(100), 303);
}

#[test]
fn no_account_is_an_administrators_by_the_scopes_that_all_hold() {
    let builder = || Admin::builder(Keys::new(MemoryStore::new()), MemoryAccounts::new());
    assert!(builder().account_scopes(["reports:read"]).unwrap().build().is_ok());
    assert!(matches!(builder().account_scopes(["reports:read", "admin"]).unwrap().build(), Err(AdminError::AdminForAll)));
}
