// What pages of other sites try with somebody's browser, and with cookies that they planted there: nothing changes.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { api, makeAdministrator, origin, password, register, scenario, secret, session, signIn, statusWith } from "./support.mjs";

/// Another site, whose pages are whatever is put into `page`.
async function otherSite(host) {
  const site = { html: "", headers: {} };
  const server = createServer((_, answer) => {
    answer.writeHead(200, { "content-type": "text/html", ...site.headers });
    answer.end(site.html);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  site.origin = `http://${host}:${server.address().port}`;
  return site;
}

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");

/// A page that sends a form by itself, as soon as it is opened.
function sending(path, fields, type = "application/x-www-form-urlencoded", method = "post") {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${escaped(name)}" value="${escaped(value)}">`);
  return `<form method="${method}" enctype="${type}" action="${origin}${path}">${inputs.join("")}</form><script>document.forms[0].submit()</script>`;
}

await scenario(async (page, context, problems) => {
  await makeAdministrator("root@example.com");
  for (const email of ["ada@example.com", "eve@example.com"]) await register(email);
  const eves = await session("eve@example.com");
  const account = (await api("GET", "user", await session("ada@example.com"))).id;
  await signIn(page, "root@example.com");
  const cookie = async () => (await context.cookies(origin)).find((one) => one.name === "__Host-keyward_session")?.value;
  const own = secret(await cookie());
  const made = await api("POST", "user/api-keys", own, { name: "victim", scopes: ["read:all"] });
  const statuses = [];
  context.on("response", (answer) => {
    if (answer.request().method() === "POST" && answer.url().startsWith(origin)) statuses.push(answer.status());
  });

  // On another port of the same host, where browsers send the cookie along; and on another host.
  const ports = await otherSite("127.0.0.1");
  const hosts = await otherSite("localhost");
  const key = `/dashboard/keys/${made.id}`;
  const credentials = { email: "eve@example.com", password };
  const forms = [
    [`${key}/revoke`, {}],
    [`${key}/disable`, {}],
    [`${key}/rotate`, { grace_seconds: "0" }],
    ["/dashboard/keys", { name: "planted" }],
    ["/dashboard/sessions/end-others", {}],
    ["/dashboard/account/name", { first_name: "Eve", last_name: "" }],
    ["/dashboard/account/password", { current_password: password, new_password: "seven teal walruses", confirm_password: "seven teal walruses" }],
    ["/dashboard/account/delete", { password }],
    [`/dashboard/accounts/${account}/make-administrator`, {}],
    [`/dashboard/accounts/${account}/delete`, {}],
    ["/dashboard/logout", {}],
    ["/dashboard/login", credentials],
    ["/dashboard/register", { ...credentials, confirm_password: password }],
    ["/api/v1/auth/login", credentials],
    ["/api/v1/auth/logout", {}],
  ];
  for (const site of [ports, hosts]) {
    for (const [path, fields] of forms) {
      // With and without a token: that of another session, and a made-up one.
      for (const token of [undefined, "A".repeat(43)]) {
        site.html = sending(path, token ? { ...fields, form_token: token } : fields);
        statuses.length = 0;
        const answered = page.waitForResponse((answer) => answer.url() === origin + path);
        await page.goto(site.origin);
        assert.equal((await answered).status(), 403, `${path} from ${site.origin}`);
        await page.waitForLoadState();
      }
    }
    // Types that a form can send without asking, and requests by script.
    for (const [path, type] of [["/api/v1/user/api-keys", "text/plain"], ["/dashboard/keys", "multipart/form-data"], [`${key}/revoke`, "text/plain"]]) {
      site.html = sending(path, { '{"name":"planted","x":"': '"}', name: "planted" }, type);
      const answered = page.waitForResponse((answer) => answer.url() === origin + path);
      await page.goto(site.origin);
      // Another host's form has no cookie with it, so that nobody asks.
      const expected = site === hosts && path.startsWith("/api/") ? 401 : 403;
      assert.equal((await answered).status(), expected, `${path} as ${type} from ${site.origin}`);
      await page.waitForLoadState();
    }
    site.html = "<p>by script</p>";
    await page.goto(site.origin);
    const read = await page.evaluate(async (target) => {
      const told = [];
      for (const [method, path, mode] of [["GET", "/dashboard/keys", "cors"], ["GET", "/api/v1/user/api-keys", "cors"], ["POST", "/api/v1/user/api-keys", "cors"], ["DELETE", "/api/v1/user", "cors"], ["POST", "/dashboard/logout", "no-cors"]]) {
        const headers = mode === "cors" ? { "content-type": "application/json" } : {};
        const body = method === "GET" ? undefined : JSON.stringify({ name: "planted", password: "a dozen mauve geese" });
        told.push(await fetch(target + path, { method, mode, headers, body, credentials: "include" }).then((answer) => `${answer.type} ${answer.status}`, () => "refused"));
      }
      return told;
    }, origin);
    assert.deepEqual(read, ["refused", "refused", "refused", "refused", "opaque 0"], site.origin);

    // In a frame, to be pressed by somebody who sees something else; and in a window that is still held.
    site.html = `<iframe src="${origin}${key}/revoke"></iframe>`;
    await page.goto(site.origin);
    await page.waitForTimeout(200);
    const framed = page.frames().find((frame) => frame !== page.mainFrame());
    assert.ok(!(await framed.content()).includes("Revoke"), "it is in a frame");
    const held = await page.evaluate(async (target) => {
      const opened = open(target);
      await new Promise((done) => setTimeout(done, 500));
      return opened.closed;
    }, `${origin}${key}`);
    assert.equal(held, true, "a page is held by the one that opened it");
    for (const other of context.pages().filter((other) => other !== page)) await other.close();
  }

  // Nothing has happened.
  assert.equal(await statusWith(secret(made.key)), 200);
  assert.equal(await cookie(), own);
  const listed = await api("GET", "user/api-keys", own);
  assert.deepEqual(listed.items.map((item) => [item.name, item.state, item.previous]), [["victim", "live", null]]);
  assert.deepEqual((await api("GET", "user", own)).first_name, "");
  assert.deepEqual((await api("GET", "accounts", own)).items.map((one) => [one.email, one.is_admin]).sort(), [
    ["ada@example.com", false],
    ["eve@example.com", false],
    ["root@example.com", true],
  ]);
  // Another host of ours may plant cookies, but for those that are ours alone by their name.
  hosts.headers = { "set-cookie": [`__Host-keyward_session=${eves}; Path=/; Secure`, `keyward_session=${eves}; Path=/`] };
  await page.goto(hosts.origin);
  assert.equal(await cookie(), own);
  hosts.headers = {};

  // Another port of the same host can: the attacker's own session, before somebody signs in. It never becomes theirs.
  for (const planted of [eves, `kws_${"A".repeat(43)}`, ""]) {
    await context.clearCookies();
    ports.headers = { "set-cookie": `__Host-keyward_session=${planted}; Path=/; Secure; HttpOnly` };
    await page.goto(ports.origin);
    ports.headers = {};
    assert.equal((await cookie()) ?? "", planted);
    await page.goto(`${origin}/dashboard/login`);
    if (planted === eves) {
      await page.getByText("eve@example.com").waitFor();
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.waitForURL(`${origin}/dashboard/login`);
      // It was ended by signing out.
      const ended = await fetch(`${origin}/api/v1/user`, { headers: { authorization: `Bearer ${eves}` } });
      assert.equal(ended.status, 401);
    }
    await signIn(page, "ada@example.com");
    const fresh = secret(await cookie());
    assert.notEqual(fresh, planted);
    await page.goto(`${origin}/dashboard/account`);
    await page.getByText("ada@example.com").first().waitFor();
    if (planted) {
      const answer = await fetch(`${origin}/api/v1/user`, { headers: { authorization: `Bearer ${planted}` } });
      assert.equal(answer.status, 401, "what was planted is signed in");
    }
  }

  // Each time somebody signs in they have another id, and the one before is worth nothing.
  const before = await cookie();
  const body = new URLSearchParams({ email: "ada@example.com", password });
  const answer = await fetch(`${origin}/api/v1/auth/login`, { method: "POST", body, redirect: "manual", headers: { cookie: `__Host-keyward_session=${before}`, origin } });
  assert.equal(answer.status, 303);
  await page.goto(`${origin}/dashboard/keys`);
  assert.ok(page.url().includes("/dashboard/login?next="), page.url());

  // What the other sites' pages tried was told as errors, as it should be; nothing else was.
  const refused = /frame-ancestors 'none'|blocked by CORS policy|net::ERR_FAILED/;
  assert.ok(problems.some((told) => refused.test(told)));
  problems.splice(0, problems.length, ...problems.filter((told) => !refused.test(told)));
}, { ownPagesOnly: false });
