//! What every mount has to get right.

use std::{fmt, net::Ipv4Addr};

use futures_util::{FutureExt as _, future::LocalBoxFuture};
use keyward_admin::Admin;

use super::{
    Mount,
    client::{
        Application, FORM, JSON, KEYS, ORIGIN, SIGN_IN, SIGN_UP, bearer, cookie, document, header, is, request, text, told,
    },
};
use crate::wire::{Connection, Protocol};

/// A named case.
pub struct Case {
    /// What it is about.
    pub name: &'static str,
    run: fn(Mount) -> LocalBoxFuture<'static, Result<(), String>>,
}

impl Case {
    /// Runs it with one mount.
    ///
    /// # Errors
    /// What came instead.
    pub async fn run(&self, mount: Mount) -> Result<(), String> {
        (self.run)(mount).await
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Every case.
pub fn all() -> Vec<Case> {
    let case = |name, run| Case { name, run };
    vec![
        case("from signing up to a revoked key", |mount| from_signing_up_to_a_revoked_key(mount, Protocol::Http1).boxed_local()),
        case("the same over HTTP/2", |mount| from_signing_up_to_a_revoked_key(mount, Protocol::Http2).boxed_local()),
        case("R13 nothing is done for a page of another site", |mount| nothing_for_other_sites(mount).boxed_local()),
        case("R13 a form that came with a cookie needs its token", |mount| a_form_needs_its_token(mount).boxed_local()),
        case("R2 it is told who is at the other end", |mount| who_is_at_the_other_end(mount).boxed_local()),
        case("a body is read up to its largest size", |mount| the_largest_body(mount).boxed_local()),
        case("whole paths are its own, in the spelling that was sent", |mount| whole_paths(mount).boxed_local()),
        case("HEAD has no body, and the connection goes on", |mount| head_has_no_body(mount).boxed_local()),
    ]
}

async fn from_signing_up_to_a_revoked_key(mount: Mount, protocol: Protocol) -> Result<(), String> {
    let application = Application::start(mount, protocol, "")?;
    let token = application.sign_in().await?;
    let (by_cookie, by_bearer) = (cookie(&token), bearer(&token));
    // A session is somebody to the application as well.
    for who in [("Cookie", by_cookie.as_str()), ("Authorization", by_bearer.as_str())] {
        let reports = application.send("GET", "/reports", &[who], "").await?;
        is("a session", (200, &b"ada@example.com"[..]), (reports.status, &reports.body[..]))?;
    }

    let own = [("Cookie", by_cookie.as_str()), ("Origin", ORIGIN), JSON];
    let made = application.send("POST", KEYS, &own, r#"{"name":"ci","scopes":["read:all"]}"#).await?;
    is("a new key", (201, "no-store"), (made.status, header(&made, "cache-control")))?;
    is("request ids", 1, made.values("x-request-id").len())?;
    let told = document(&made)?;
    let (id, key) = (text(&told, "id")?, bearer(&text(&told, "key")?));
    let list = document(&application.send("GET", KEYS, &[("Authorization", &by_bearer)], "").await?)?;
    is(
        "the key in the list",
        (Some(id.as_str()), 1),
        (list["items"][0]["id"].as_str(), list["items"].as_array().map_or(0, Vec::len)),
    )?;
    let reports = application.send("GET", "/reports", &[("Authorization", &key)], "").await?;
    is("the key", (200, &b"ci"[..]), (reports.status, &reports.body[..]))?;
    is("a key that manages none", 403, application.send("GET", KEYS, &[("Authorization", &key)], "").await?.status)?;

    let one = format!("{KEYS}/{id}");
    is("revoking", 200, application.send("DELETE", &one, &own[..2], "").await?.status)?;
    is("the revoked key", 401, application.send("GET", "/reports", &[("Authorization", &key)], "").await?.status)?;
    let out = application.send("POST", "/api/v1/auth/logout", &own[..2], "").await?;
    is("signing out", (303, "/dashboard/login"), (out.status, header(&out, "location")))?;
    for target in ["/reports", KEYS] {
        is("a session that ended", 401, application.send("GET", target, &[("Cookie", &by_cookie)], "").await?.status)?;
    }
    Ok(())
}

async fn nothing_for_other_sites(mount: Mount) -> Result<(), String> {
    let application = Application::start(mount, Protocol::Http1, "")?;
    let by_cookie = cookie(&application.sign_in().await?);
    let foreign = [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")];
    for from in foreign {
        for (target, kind, body) in [
            (KEYS, JSON, r#"{"name":"planted"}"#),
            ("/dashboard/keys", FORM, "name=planted"),
            ("/api/v1/auth/login", FORM, SIGN_IN),
            ("/api/v1/auth/register", FORM, SIGN_UP),
            ("/api/v1/auth/logout", FORM, ""),
            ("/reports", FORM, ""),
        ] {
            let refused = application.send("POST", target, &[("Cookie", &by_cookie), from, kind], body).await?;
            is(&format!("{target} from {from:?}"), (403, ""), (refused.status, header(&refused, "set-cookie")))?;
        }
    }
    // Of two origins, one is not ours.
    let both = [("Cookie", by_cookie.as_str()), ("Origin", ORIGIN), ("Origin", "https://evil.example"), JSON];
    is("two origins", 403, application.send("POST", KEYS, &both, r#"{"name":"planted"}"#).await?.status)?;
    let list = document(&application.send("GET", KEYS, &[("Cookie", &by_cookie)], "").await?)?;
    is("keys", Some(0), list["items"].as_array().map(Vec::len))
}

async fn a_form_needs_its_token(mount: Mount) -> Result<(), String> {
    let application = Application::start(mount, Protocol::Http1, "")?;
    let by_cookie = cookie(&application.sign_in().await?);
    let own = [("Cookie", by_cookie.as_str()), ("Origin", ORIGIN), FORM];
    let page = application.send("GET", "/dashboard/keys/new", &own[..1], "").await?;
    let page = String::from_utf8_lossy(&page.body);
    let field = page.split_once("name=\"form_token\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
    let (form_token, _) = field.ok_or_else(|| format!("no form: {page}"))?;
    let form = |token: &str| format!("form_token={token}&name=planted&expires_in_days=7");
    for wrong in ["", "x", &form_token[1..]] {
        is("a wrong token", 403, application.send("POST", "/dashboard/keys", &own, &form(wrong)).await?.status)?;
    }
    is("its token", 201, application.send("POST", "/dashboard/keys", &own, &form(form_token)).await?.status)
}

async fn who_is_at_the_other_end(mount: Mount) -> Result<(), String> {
    let network =
        "allow = ['127.0.0.2', '192.0.2.1']\ntrusted_proxies = ['127.0.0.3']\nclient_address_header = 'X-Forwarded-For'";
    let application = Application::start(mount, Protocol::Http1, network)?;
    for (from, forwarded, status) in [
        ([127, 0, 0, 1], None, 403),
        ([127, 0, 0, 1], Some("192.0.2.1"), 403),
        ([127, 0, 0, 2], None, 200),
        ([127, 0, 0, 3], Some("192.0.2.1"), 200),
        ([127, 0, 0, 3], Some("192.0.2.2"), 403),
        ([127, 0, 0, 3], None, 403),
    ] {
        let headers: Vec<(&str, &str)> = forwarded.map(|forwarded| ("X-Forwarded-For", forwarded)).into_iter().collect();
        let page = application.send_from(Ipv4Addr::from(from).into(), "GET", "/dashboard/login", &headers, "").await?;
        is(&format!("{from:?} for {forwarded:?}"), status, page.status)?;
    }
    Ok(())
}

async fn the_largest_body(mount: Mount) -> Result<(), String> {
    let application = Application::start(mount, Protocol::Http1, "")?;
    let token = application.sign_in().await?;
    let by_bearer = bearer(&token);
    let headers = [("Authorization", by_bearer.as_str()), JSON];
    // One object of exactly so many bytes: blanks between tokens are nothing.
    let body = |size: usize| format!("{}{}", r#"{"name":"k"}"#, " ".repeat(size - 12));
    let (largest, larger) = (body(Admin::LARGEST_BODY), body(Admin::LARGEST_BODY + 1));
    is("the largest body", 201, application.send("POST", KEYS, &headers, &largest).await?.status)?;
    is("one byte more", 413, application.send("POST", KEYS, &headers, &larger).await?.status)?;
    for (size, body, status) in [("the largest", &largest, 201), ("one byte more", &larger, 413)] {
        let mut chunked = request(Ipv4Addr::LOCALHOST.into(), "POST", KEYS, &headers, "");
        chunked.headers.push(("Transfer-Encoding".to_owned(), b"chunked".to_vec()));
        chunked.body = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes();
        let mut connection = Connection::open(application.address(), None).await.map_err(told)?;
        connection.send(&chunked.to_bytes()).await.map_err(told)?;
        is(&format!("{size}, in chunks"), status, connection.receive("POST").await.map_err(told)?.status)?;
    }
    // What is announced as larger is answered before it comes.
    let mut announced = request(Ipv4Addr::LOCALHOST.into(), "POST", KEYS, &headers, "");
    announced.headers.push(("Content-Length".to_owned(), b"1000000000".to_vec()));
    let mut connection = Connection::open(application.address(), None).await.map_err(told)?;
    connection.send(&announced.to_bytes()).await.map_err(told)?;
    let refused = connection.receive("POST").await.map_err(told)?;
    is("an announced gigabyte", (413, "close"), (refused.status, header(&refused, "connection")))
}

async fn whole_paths(mount: Mount) -> Result<(), String> {
    let application = Application::start(mount, Protocol::Http1, "")?;
    for (target, status) in [
        ("/dashboard", 303),
        ("/dashboard/", 303),
        ("/dashboard/login", 200),
        ("/dashboard/login?next=/dashboard/keys", 200),
        ("/dashboard/keyward.css", 200),
        ("/api/v1/user", 401),
        ("/api/v1/auth/login", 405),
        // The application's guard: somebody who is nobody learns nothing of its routes.
        ("/dashboards", 401),
        ("/%64ashboard/login", 401),
        ("//dashboard/login", 401),
        ("/api/v1/authority", 401),
        ("/reports", 401),
        ("/", 401),
    ] {
        is(target, status, application.send("GET", target, &[], "").await?.status)?;
    }
    Ok(())
}

async fn head_has_no_body(mount: Mount) -> Result<(), String> {
    let application = Application::start(mount, Protocol::Http1, "")?;
    let mut connection = Connection::open(application.address(), None).await.map_err(told)?;
    for (method, is_empty) in [("HEAD", true), ("GET", false)] {
        let request = request(Ipv4Addr::LOCALHOST.into(), method, "/dashboard/login", &[], "");
        connection.send(&request.to_bytes()).await.map_err(told)?;
        let page = connection.receive(method).await.map_err(told)?;
        is(method, (200, is_empty), (page.status, page.body.is_empty()))?;
    }
    Ok(())
}
