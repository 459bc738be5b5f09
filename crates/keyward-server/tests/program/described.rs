//! `/openapi.json` and `/docs`.

use std::collections::BTreeSet;

use serde_json::json;

use crate::administration::{JSON, bootstrap};
use crate::folder::Folder;
use crate::server::Server;

#[test]
fn everybody_reads_it_whatever_the_policy_says_and_no_other_method_is_open() {
    let folder = Folder::new();
    // Nobody is let in anywhere.
    folder.write("p.toml", "[network]\nallow = [\"192.0.2.1\"]\n[response]\nbody = \"detail\"\n");
    let server = Server::start(&folder, &["--policy", "p.toml"]);
    for (path, media_type) in [("/openapi.json", "application/json"), ("/docs", "text/html; charset=utf-8")] {
        let answer = server.get(path, &["Authorization: Bearer nobodys", "X-API-Key: another"]);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.body, server.get(path, &[]).body);
        let head = server.send("HEAD", path, &[]);
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        for method in ["POST", "DELETE", "OPTIONS", "TRACE"] {
            assert_eq!(server.send(method, path, &[]).status, 403, "{method} {path}");
        }
    }
    assert_eq!(server.get("/openapi.json/x", &[]).status, 403);
    let (_, errors) = server.stop("TERM");
    assert!(!errors.contains("\"method\":\"GET\",\"path\":\"/docs\""), "nothing is decided about it: {errors}");
}

#[test]
fn it_tells_where_a_key_stands_under_this_policy_and_no_secret() {
    let folder = Folder::new();
    folder.write(
        "p.toml",
        "sources = [{ header = \"X-Door\" }, { cookie = \"door\" }, { query = \"d\" }, { header = \"Authorization\", scheme = \"ApiKey\" },
                    { header = \"X-Job\", paths = [\"/jobs/*\"] }, { query = \"w\", only = \"websocket\" }]
         [[routes]]\npath = \"/canary/*\"\nscopes = [\"canary:scope\"]\nkinds = [\"canary-kind\"]\n
         [access]\nrealm = \"canary-realm\"\n",
    );
    let server = Server::start(&folder, &["--policy", "p.toml"]);
    let text = server.get("/openapi.json", &[]).body;
    let page = server.get("/docs", &[]).body;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let names = |path: &str, method: &str| -> BTreeSet<String> {
        let security = document["paths"][path][method]["security"].as_array().unwrap();
        security.iter().flat_map(|one| one.as_object().unwrap().keys().cloned()).collect()
    };
    let own = ["cookie-door", "header-authorization-ApiKey", "header-x-door", "query-d"].map(str::to_owned);
    assert_eq!(names("/whoami", "get"), own.clone().into());
    assert_eq!(names("/auth/token", "post"), own.into());
    // The management's guard is its own.
    assert_eq!(names("/api/v1/agent-keys", "get"), ["bearer", "header-x-api-key", "session"].map(str::to_owned).into());
    let scheme = &document["components"]["securitySchemes"]["cookie-door"];
    assert_eq!((&scheme["type"], &scheme["in"], &scheme["name"]), (&json!("apiKey"), &json!("cookie"), &json!("door")));
    let (_, errors) = server.stop("TERM");
    let key = bootstrap(&errors);
    let secret = key.rsplit(' ').next().unwrap();
    for told in [&text, &page] {
        assert!(!told.contains("canary") && !told.contains(secret) && !told.contains("x-job"), "{told}");
    }
}

#[test]
fn the_page_has_all_operations_and_brings_nothing_from_elsewhere() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let page = server.get("/docs", &[]);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let document = server.get("/openapi.json", &[]).json();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(page.body.contains(&format!("{path}</code>")), "{path}");
        let ids = item.as_object().unwrap().values().map(|operation| operation["operationId"].as_str().unwrap());
        assert!(ids.into_iter().any(|id| page.body.contains(&format!("id=\"{id}\""))), "{path}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.body.contains(&format!("id=\"schema-{name}\"")), "{name}");
    }
    // Whatever leads somewhere leads to a place of the page, or of this server.
    for attribute in ["href=\"", "src=\""] {
        for link in page.body.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
            match link.strip_prefix('#') {
                Some(place) => assert!(page.body.contains(&format!("id=\"{place}\"")), "{link}"),
                None if link.starts_with("data:image/svg+xml,") => {}
                None => assert_eq!(server.get(link.split('?').next().unwrap(), &[]).status, 200, "{link}"),
            }
        }
    }
    for inline in ["style=", "<style", "onclick", "onload", "javascript:"] {
        assert!(!page.body.contains(inline), "{inline}");
    }
}

/// What is served without accounts is described without them.
#[test]
fn a_json_file_has_no_accounts_to_describe() {
    let folder = Folder::new();
    let server = Server::start(&folder, &["--database", "json:keys.json"]);
    let document = server.get("/openapi.json", &[]).json();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert!(paths.iter().any(|path| path.as_str() == "/api/v1/agent-keys"), "{paths:?}");
    assert!(paths.iter().all(|path| !path.contains("accounts") && !path.contains("/auth/login")), "{paths:?}");
}

#[test]
fn an_agents_key_is_good_for_its_paths_alone() {
    let folder = Folder::new();
    folder.write("p.toml", "[network]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let arguments = ["--policy", "p.toml"];
    let key = bootstrap(&Server::start(&folder, &arguments).stop("TERM").1);
    let server = Server::start(&folder, &arguments);
    let new = r#"{"name":"collector","app":"billing","agent":"collector","resource_pattern":"/apps/7/*","expires_in_hours":1}"#;
    let made = server.send_body("POST", "/api/v1/agent-keys", &[&key, JSON], new);
    assert_eq!((made.status, made.json()["resource_pattern"].as_str()), (201, Some("/apps/7/*")), "{made:?}");
    let agent = format!("Authorization: Bearer {}", made.json()["key"].as_str().unwrap());
    let asked = |target: &str| {
        let uri = format!("X-Forwarded-Uri: {target}");
        server.get("/auth", &[&agent, "X-Forwarded-Method: GET", &uri]).status
    };
    assert_eq!((asked("/apps/7/reports"), asked("/apps/7/%72eports?x=1")), (200, 200));
    for elsewhere in ["/apps/7", "/apps/8/reports", "/", "/apps/70/x", "/whoami"] {
        assert_eq!(asked(elsewhere), 403, "{elsewhere}");
    }
    for ambiguous in ["/apps/7/../8/reports", "/apps/7/%2e%2e/8", "/apps/7//x", "/apps%2F7/x", "/apps/7;x/y"] {
        assert_eq!(asked(ambiguous), 400, "{ambiguous}");
    }
    assert_eq!(server.get("/whoami", &[&agent]).status, 403, "the server's own paths are paths like others");
    let one = format!("/api/v1/agent-keys/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(server.send_body("PATCH", &one, &[&key, JSON], r#"{"resource_pattern":null}"#).status, 200);
    assert_eq!((asked("/apps/8/reports"), server.get("/whoami", &[&agent]).status), (200, 200));
    assert_eq!(server.send("DELETE", &one, &[&key]).status, 204);
    assert_eq!(asked("/apps/7/reports"), 401);
}
