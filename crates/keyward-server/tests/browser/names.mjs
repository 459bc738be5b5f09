// Names that somebody chose to do harm with: each is text wherever it stands, and no script runs.

import assert from "node:assert/strict";
import { api, origin, password, register, scenario, session, signIn } from "./support.mjs";

// `keywardTold` is what the watched page has for scripts that should not be: it fails the scenario.
const run = "keywardTold('ran')";
const names = [
  `<script>${run}</script>`,
  `</title><script>${run}</script>`,
  `</textarea><script>${run}</script>`,
  `</script><script>${run}</script>`,
  `"><script>${run}</script>`,
  `'><img src=x onerror=${run}>`,
  `"><img src=x onerror="${run}">`,
  `<svg onload=${run}>`,
  `<svg><script>${run}</script></svg>`,
  `<math><mtext></mtext><mglyph><style></style><img src=x onerror=${run}>`,
  `<iframe srcdoc="<script>parent.${run}</script>"></iframe>`,
  `<iframe src="javascript:parent.${run}"></iframe>`,
  `<a href="javascript:${run}">press here</a>`,
  `<input autofocus onfocus=${run}>`,
  `<details open ontoggle=${run}>`,
  `<style>*{background:url("javascript:${run}")}</style>`,
  `<base href="https://evil.example/">`,
  `<meta http-equiv="refresh" content="0;url=https://evil.example/">`,
  `<link rel="stylesheet" href="https://evil.example/x.css">`,
  `<form action="https://evil.example/"><button>Sign in again</button></form>`,
  `<!-- no end`,
  `--><script>${run}</script><!--`,
  `<![CDATA[<script>${run}</script>]]>`,
  `<plaintext>`,
  `</bdi></th></tr></table><h1>Signed out</h1>`,
  `" onmouseover="${run}" x="`,
  `' autofocus onfocus='${run}`,
  "` onmouseover=" + run,
  `{{ 7 * 7 }} {% include "login.html" %} {# gone #}`,
  "${7*7} #{7*7} <%= 7*7 %> [[7*7]]",
  `&lt;script&gt;${run}&lt;/script&gt; &amp;amp; &#60;b&#62;`,
  "&notin; &copy &#0; &#x110000;",
  `javascript:${run}//`,
  `'; DROP TABLE keyward_keys; --`,
  `../../../etc/passwd?x=1#fragment`,
  "\u202egnp.tpircs\u202c exe",
  "\u2067\u202eright to left, never closed",
  "שלום مرحبا with English",
  "zero\u200bwidth\u200d\u2060\ufeffspaces",
  "\u00a0\u2003 wide blanks \u3000 within",
  "combining Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032f\u031ea\u0341\u0322l\u0335go",
  "emoji 👩‍👩‍👧‍👦 🏳️‍🌈 🔑 \u{1f468}\u{1f3ff}\u200d\u{1f4bb}",
  "unpaired-looking \ufffe \uffff \u{10ffff}",
  "ﷺ𒐫꧅".repeat(20),
  "W".repeat(1_024),
  "a ".repeat(510) + "end",
  "null undefined NaN true -0 1e999 0x",
];

/// What a browser makes of characters that HTML has no place for: it leaves NUL out.
const asHtml = (text) => text.replaceAll("\r\n", "\n").replaceAll("\r", "\n").replaceAll("\0", "");

await scenario(async (page) => {
  assert.ok(new Set(names).size === names.length && names.length < 50);
  const email = "mallory@example.com";
  await register(email);
  await signIn(page, email);
  const sticksOut = () => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  const isOnce = async (locator, text, where) => {
    const found = await locator.evaluateAll((all, wanted) => all.filter((one) => one.textContent === wanted).length, text);
    assert.equal(found, 1, `${where}: ${JSON.stringify(text)}`);
  };
  await page.setViewportSize({ width: 360, height: 740 });

  // By the form, which comes back with what was wrong.
  const byForm = names.filter((_, place) => place % 4 === 0);
  for (const name of byForm) {
    await page.goto(`${origin}/dashboard/keys/new`);
    await page.getByLabel("Name").fill(name);
    await page.getByLabel("Allowed networks").fill(name.slice(0, 60));
    await page.getByRole("button", { name: "Generate API Key" }).click();
    await page.getByText("Please correct the fields").waitFor();
    assert.equal(await page.getByLabel("Name").inputValue(), name);
    assert.equal(await page.getByLabel("Allowed networks").inputValue(), name.slice(0, 60));
    await page.getByLabel("Allowed networks").fill("");
    await page.getByRole("button", { name: "Generate API Key" }).click();
    await isOnce(page.locator("main .lead bdi"), name.trim(), "the new key");
  }
  const token = await session(email);
  for (const name of names.filter((name) => !byForm.includes(name))) await api("POST", "user/api-keys", token, { name: name.trim() });
  for (const { id, name } of (await api("GET", "user/api-keys", token)).items) {
    await page.goto(`${origin}/dashboard/keys/${id}`);
    await isOnce(page.locator("h1 bdi"), name, "the key");
    assert.equal(await page.title(), `${name.replace(/[ \t\n\f\r]+/g, " ")} · Keyward`);
    assert.ok(!(await sticksOut()), `the key sticks out: ${name.slice(0, 60)}`);
  }
  await page.goto(`${origin}/dashboard/keys`);
  for (const name of names) await isOnce(page.locator("tbody th bdi"), name.trim(), "the list");
  assert.ok(!(await sticksOut()), "the list sticks out");
  const list = page.locator("tbody th a");
  assert.equal(await list.count(), names.length);
  await page.goto(`${origin}/dashboard/audit`);
  for (const name of names) assert.ok((await page.locator("main").textContent()).includes(name.trim()), name);
  assert.ok(!(await sticksOut()), "the audit log sticks out");

  // What no form can send, and where else names stand.
  for (const [place, name] of [...names.slice(0, 8), "a\0b\u001b[31mc\r\nd\u0085\u2028e\u007f"].entries()) {
    const made = await api("POST", "user/api-keys", token, { name, metadata: { [name]: `value of ${name}` }, scopes: ["read:all"] });
    await page.goto(`${origin}/dashboard/keys/${made.id}`);
    for (const text of [name, `value of ${name}`]) await isOnce(page.locator("dl bdi, h1 bdi").nth(text === name ? 0 : 2), asHtml(text), "metadata");
    await page.goto(`${origin}/dashboard/keys/${made.id}/revoke`);
    await isOnce(page.locator("h1 bdi"), asHtml(name), "the question");
    if (place < 8) {
      await page.goto(`${origin}/dashboard/account`);
      await page.getByLabel("First name").fill(name.slice(0, 100));
      await page.getByRole("button", { name: "Save name" }).click();
      await page.getByText("Your name has been changed.").waitFor();
      assert.equal(await page.getByLabel("First name").inputValue(), name.slice(0, 100));
    }
  }
  for (const agent of names.filter((name) => /^[\x20-\x7e]+$/.test(name)).slice(0, 20)) {
    const body = new URLSearchParams({ email, password });
    const headers = { "user-agent": agent };
    await fetch(`${origin}/api/v1/auth/login`, { method: "POST", body, headers, redirect: "manual" });
    await page.goto(`${origin}/dashboard/sessions`);
    await isOnce(page.locator(".agent bdi"), agent.slice(0, 256).trim(), "an agent");
  }
});
