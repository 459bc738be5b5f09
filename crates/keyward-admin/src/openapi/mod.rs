//! What is answered here, as an OpenAPI document.

mod accounts;
mod audit;
mod bodies;
mod draft;
mod keys;
mod page;

pub use page::documentation;

use keyward::openapi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi};

use crate::admin::Admin;
use crate::keys::{Collection, KeyIds};
use crate::sessions::SESSION_COOKIE;
use draft::Draft;

/// How the session's cookie is called among the security schemes.
const SESSION: &str = "session";

impl Admin {
    /// The paths of the API that are answered here, as an OpenAPI 3.1 document: for one of yours, by
    /// [`merge_from`](OpenApi::merge_from). It holds no secret, and the pages of the dashboard are not in it.
    ///
    /// ```
    /// use keyward::account::MemoryAccounts;
    /// use keyward::{Keys, MemoryStore};
    /// use keyward_admin::Admin;
    ///
    /// let admin = Admin::builder(Keys::new(MemoryStore::new()), MemoryAccounts::new()).build()?;
    /// let document = admin.openapi();
    /// assert!(document.paths.paths.contains_key("/api/v1/agent-keys/{id}/rotate"));
    /// # Ok::<(), keyward_admin::AdminError>(())
    /// ```
    pub fn openapi(&self) -> OpenApi {
        let (policy, has_accounts) = (self.0.guard.policy(), self.0.has_accounts);
        let mut draft = Draft::new(policy);
        keys::describe(&mut draft, Collection::All);
        keys::describe(&mut draft, Collection::Agents);
        audit::describe(&mut draft);
        if matches!(self.0.key_ids, KeyIds::Numbers(_)) {
            for (schema, property) in [("Key", "id"), ("Revoked", "id"), ("AuditEntry", "key_id")] {
                draft.or_number(schema, property);
            }
        }
        if has_accounts {
            accounts::describe(&mut draft);
        }
        let info = InfoBuilder::new().title("Keyward").version(env!("CARGO_PKG_VERSION")).build();
        let mut document = openapi::guarded(draft.into_document(info), policy);
        if has_accounts {
            offer_session(&mut document);
        }
        document
    }
}

/// Who signed in is let in wherever a key is, by the cookie or as Bearer; where nobody has to be, nothing is said of it.
fn offer_session(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for operation in openapi::operations(item) {
            if let Some(security) = operation.security.as_mut().filter(|security| !security.is_empty()) {
                security.push(SecurityRequirement::new(SESSION, [""; 0]));
            }
        }
    }
    let text = "The session of somebody who signed in. A request that changes something has to come from a page of this site.";
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(SESSION_COOKIE, text)));
    let text = "A key, or the session of somebody who signed in.";
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text)).build();
    if let Some(components) = &mut document.components {
        components.add_security_scheme(SESSION, cookie);
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use keyward::account::MemoryAccounts;
    use keyward::{Keys, MemoryStore};
    use serde_json::{Value, json};

    use super::*;

    fn document(of: Admin) -> Value {
        serde_json::to_value(of.openapi()).unwrap()
    }

    fn admin() -> Admin {
        Admin::builder(Keys::new(MemoryStore::new()), MemoryAccounts::new()).build().unwrap()
    }

    /// What a body may hold is what is read, no more and no less.
    #[test]
    fn bodies_are_described_by_the_fields_that_are_read() {
        let document = document(admin());
        let described = |name: &str| -> BTreeSet<String> {
            let properties = document["components"]["schemas"][name]["properties"].as_object();
            properties.unwrap_or_else(|| panic!("{name}")).keys().cloned().collect()
        };
        use crate::accounts::fields as account;
        for (name, read) in [
            ("NewKey", Collection::All.fields_of_new()),
            ("KeyChange", Collection::All.fields_of_change()),
            ("NewAgentKey", Collection::Agents.fields_of_new()),
            ("AgentKeyChange", Collection::Agents.fields_of_change()),
            ("Rotation", crate::keys::ROTATION.to_vec()),
            ("NewAccount", account::NEW.to_vec()),
            ("AccountChange", account::CHANGE.to_vec()),
            ("Names", account::NAMES.to_vec()),
            ("NewPassword", account::PASSWORDS.to_vec()),
            ("Farewell", account::FAREWELL.to_vec()),
        ] {
            assert_eq!(described(name), read.iter().map(|&field| field.to_owned()).collect(), "{name}");
            assert_eq!(document["components"]["schemas"][name]["additionalProperties"], false, "{name}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_described() {
        let without = Admin::builder(Keys::new(MemoryStore::new()), MemoryAccounts::new()).without_accounts().build().unwrap();
        let document = document(without);
        let paths: Vec<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        assert!(paths.iter().all(|path| path.contains("-keys") || path.contains("/audit")) && paths.len() == 8, "{paths:?}");
        assert!(document["components"]["securitySchemes"]["session"].is_null());
    }

    #[test]
    fn ids_are_numbers_where_keys_have_them() {
        let numbered = Admin::builder(Keys::new(MemoryStore::new()), MemoryAccounts::new()).numbered_keys().build().unwrap();
        for (document, key, entry) in [
            (document(admin()), json!("string"), json!(["string", "null"])),
            (document(numbered), json!(["integer", "string"]), json!(["string", "null", "integer"])),
        ] {
            let schemas = &document["components"]["schemas"];
            assert_eq!(schemas["Key"]["properties"]["id"]["type"], key);
            assert_eq!(schemas["Revoked"]["properties"]["id"]["type"], key);
            assert_eq!(schemas["AuditEntry"]["properties"]["key_id"]["type"], entry);
        }
    }

    #[test]
    fn refusals_are_described_in_the_policys_style() {
        for (body, media_type, required) in [
            ("problem", "application/problem+json", json!(["type", "status", "detail"])),
            ("detail", "application/json", json!(["detail"])),
            ("error", "application/json", json!(["error"])),
        ] {
            let policy = keyward::Policy::from_toml("p", &format!("[response]\nbody = '{body}'")).unwrap();
            let admin = Admin::builder(Keys::new(MemoryStore::new()), MemoryAccounts::new()).policy(policy).build().unwrap();
            let document = document(admin);
            assert_eq!(document["components"]["schemas"]["Refusal"]["required"], required);
            let missing = &document["paths"]["/api/v1/agent-keys/{id}"]["get"]["responses"]["404"]["content"];
            assert_eq!(missing.as_object().unwrap().keys().collect::<Vec<_>>(), [media_type]);
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
        let document = document(admin());
        let text = document.to_string();
        for piece in text.split("\"$ref\":\"#").skip(1) {
            let pointer = piece.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        let paths = document["paths"].as_object().unwrap().values();
        let names: Vec<&str> =
            paths.flat_map(|item| item.as_object().unwrap().values().map(|one| one["operationId"].as_str().unwrap())).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert_eq!(document["openapi"], "3.1.0");
    }
}
