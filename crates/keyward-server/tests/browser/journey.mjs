// What somebody does with a key, from signing up to its end; and the key is used by plain HTTP all along.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { advance, origin, password, scenario, secret, signIn, signOut, statusWith } from "./support.mjs";

const hour = 3600;

/// Runs a snippet of the page as somebody pastes it, at a path that there is.
function paste(program, args, snippet, key) {
  const text = snippet.replace("/your/endpoint", "/reports");
  return execFileSync(program, [...args, text], { env: { PATH: process.env.PATH, API_KEY: key }, encoding: "utf8" });
}

await scenario(async (page, context) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });

  // Signing up and in.
  await page.goto(`${origin}/dashboard`);
  await page.getByRole("link", { name: "Create an account" }).click();
  await page.getByLabel("E-mail address").fill("ada@example.com");
  await page.getByLabel("First name").fill("Ada");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByLabel("Password, once more").fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByText("your account is ready").waitFor();
  await signIn(page, "ada@example.com");
  const session = (await context.cookies()).find((cookie) => cookie.name === "__Host-keyward_session");
  secret(session.value);
  assert.ok(session.httpOnly && session.secure && session.sameSite === "Lax" && session.path === "/" && session.expires === -1);
  await page.getByText("No API keys yet").waitFor();

  // A key, seen once and copied.
  await page.getByRole("link", { name: "Generate API Key" }).click();
  await page.getByLabel("Name").fill("Nightly export");
  await page.getByLabel("read:all").check();
  await page.getByLabel("Expires after").selectOption("30 days");
  await page.getByRole("button", { name: "Generate API Key" }).click();
  const shown = page.getByLabel("API key", { exact: true });
  const first = secret(await shown.textContent());
  assert.match(first, /^kw_[0-9A-Za-z]{38}$/);
  await page.getByRole("button", { name: "Copy the key" }).click();
  await page.getByRole("button", { name: "Copied the key" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), first);

  // As the page says that it is used.
  const snippet = async (name) => await page.getByLabel(`${name} example`, { exact: true }).textContent();
  assert.equal(paste("sh", ["-c"], `${await snippet("curl")} -s`, first), "all is well");
  const javascript = `${await snippet("JavaScript")}\nconsole.log(answer.status);`;
  assert.equal(paste("node", ["--input-type=module", "-e"], javascript, first), "200\n");
  assert.match(await snippet("Python"), /os\.environ\['API_KEY'\]/);

  await page.getByRole("link", { name: "I have copied it" }).click();
  const key = page.url();
  const isNowhere = async (text) => assert.ok(!(await page.content()).includes(text), page.url());
  await isNowhere(first);
  // Not by going back either: what was answered to a form is not kept.
  await assert.rejects(page.goBack(), /ERR_CACHE_MISS/);
  await page.waitForURL("chrome-error://chromewebdata/");
  await page.goto(`${origin}/dashboard/keys`);
  await isNowhere(first);

  // Its use is seen.
  await advance(5 * 60);
  assert.equal(await statusWith(first), 200);
  await advance(2 * 60);
  await page.goto(key);
  const figure = async (name) => await page.locator(".figures > div", { hasText: name }).locator("dd").textContent();
  assert.deepEqual([await figure("Today"), await figure("Ever")], ["3", "3"]);
  const secrets = page.getByRole("table", { name: "Use of each secret" });
  await secrets.getByText("2 minutes ago").waitFor();
  await secrets.getByText("127.0.0.0/24").waitFor();
  assert.equal(await page.getByRole("img", { name: /3 in all/ }).locator("title").last().textContent(), "14 Mar 2027: 3");
  await page.getByRole("meter", { name: "60/minute" }).waitFor();
  const remaining = await page.getByRole("meter", { name: "5000/day" }).getAttribute("value");
  assert.ok(Number(remaining) >= 4997, remaining);

  // Another secret; the old one goes on for an hour, to the second.
  await page.getByLabel("Grace for the old secret").selectOption("1 hour");
  await page.getByRole("button", { name: "Rotate key" }).click();
  const second = secret(await shown.textContent());
  assert.notEqual(second, first);
  await page.getByRole("link", { name: "I have copied it" }).click();
  await isNowhere(second);
  const grace = page.locator(".heading .badge-grace time");
  assert.match(await grace.textContent(), /^(59 min \d+ s|1 h 0 min) left$/);
  const counted = await grace.textContent();
  await page.waitForFunction((before) => document.querySelector(".badge-grace time").textContent !== before, counted);
  assert.deepEqual([await statusWith(first), await statusWith(second)], [200, 200]);
  await advance(hour / 2);
  await page.reload();
  await advance(hour / 2 - 1);
  assert.deepEqual([await statusWith(first), await statusWith(second)], [200, 200]);
  await page.reload();
  assert.match(await grace.textContent(), /^1 s left$|^ended$/);
  await advance(1);
  assert.deepEqual([await statusWith(first), await statusWith(second)], [401, 200]);
  await page.reload();
  assert.equal(await grace.count(), 0);
  await secrets.getByText("No longer").waitFor();

  // At rest, and back.
  await page.getByRole("link", { name: "Disable key" }).click();
  await page.getByText("It was last used just now.").waitFor();
  await page.getByRole("button", { name: "Disable key" }).click();
  await page.getByText("The key has been disabled.").waitFor();
  assert.equal(await statusWith(second), 401);
  await page.getByRole("link", { name: "Enable key" }).click();
  await page.getByRole("button", { name: "Enable key" }).click();
  await page.getByText("The key has been enabled.").waitFor();
  assert.equal(await statusWith(second), 200);

  // Its end, after a question.
  await page.getByRole("link", { name: "Revoke key" }).click();
  await page.getByRole("link", { name: "Cancel" }).click();
  assert.equal(await statusWith(second), 200);
  await page.getByRole("link", { name: "Revoke key" }).click();
  await page.getByRole("heading", { name: "Revoke Nightly export?" }).waitFor();
  await page.getByRole("button", { name: "Revoke key" }).click();
  await page.getByText("The key has been revoked.").waitFor();
  assert.equal(await statusWith(second), 401);
  assert.equal(await page.getByRole("heading", { name: "Actions" }).count(), 0);
  await page.goto(`${origin}/dashboard/keys`);
  await page.getByRole("row", { name: /Nightly export/ }).getByText("Revoked").waitFor();
  await page.getByRole("link", { name: "Audit log" }).click();
  for (const text of [first, second]) await isNowhere(text);

  // Nothing of it stays in the browser.
  const kept = await page.evaluate(async () => [
    localStorage.length,
    sessionStorage.length,
    (await indexedDB.databases()).length,
    (await caches.keys()).length,
    (await navigator.serviceWorker.getRegistrations()).length,
    document.cookie,
  ]);
  assert.deepEqual(kept, [0, 0, 0, 0, 0, ""]);
  await signOut(page);
  assert.deepEqual((await context.cookies()).filter((cookie) => cookie.name === "__Host-keyward_session"), []);
  await page.goBack();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal((await fetch(`${origin}/api/v1/user`, { headers: { authorization: `Bearer ${session.value}` } })).status, 401);
});
