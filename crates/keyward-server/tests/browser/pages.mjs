// Every page, as it is on a phone, a tablet and a desk, in light and in dark: nothing sticks out, axe finds nothing, and a picture is left.

import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { advance, api, faultsOfAccess, makeAdministrator, origin, register, scenario, session, settings, signIn, signOut, statusWith } from "./support.mjs";

const widths = [360, 768, 1280];
const heights = { 360: 740, 768: 1024, 1280: 900 };
const day = 86_400;

rmSync(settings.pictures, { recursive: true, force: true });
mkdirSync(settings.pictures, { recursive: true });

/// Looks at the page that is open, in every way.
async function look(page, name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const width of widths) {
      await page.setViewportSize({ width, height: heights[width] });
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(beyond <= 0, `${name}, ${width} px: sticks out by ${beyond} px`);
      await page.screenshot({ path: `${settings.pictures}/${name}-${width}-${colorScheme}.png`, fullPage: true, caret: "initial" });
      if (width === 768) continue;
      // In the dark there are other colours, and nothing else is another.
      const rules = colorScheme === "dark" ? ["color-contrast"] : undefined;
      assert.deepEqual(await faultsOfAccess(page, rules), [], `${name}, ${width} px, ${colorScheme}`);
    }
  }
}

/// Keys in every state, and thirty days of their use.
async function history(email) {
  let token = await session(email);
  const make = (name, more = {}) => api("POST", "user/api-keys", token, { name, ...more });
  const nightly = await make("Nightly export", { scopes: ["read:all"], expires_in_days: 365 });
  const web = await make("Web shop", { scopes: ["read:all", "write:all"], allowed_ips: ["127.0.0.1", "203.0.113.0/24", "2001:db8::/32"], expires_in_days: 180, metadata: { team: "storefront" } });
  const expiring = await make("Quarterly report", { scopes: ["read:all"], expires_in_days: 33 });
  await make("Trial", { expires_in_days: 14 });
  const paused = await make("Paused integration", { scopes: ["write:all"] });
  const leaked = await make("Leaked in a repository", { scopes: ["read:all"] });
  for (let past = 29; past >= 0; past--) {
    const uses = past % 7 === 3 ? 0 : 4 + ((past * 7) % 11);
    for (let use = 0; use < uses; use++) assert.equal(await statusWith(nightly.key), 200);
    if (past % 3 === 0) await statusWith(web.key);
    if (past > 0) await advance(day);
  }
  token = await session(email);
  await api("PATCH", `user/api-keys/${paused.id}`, token, { disabled: true });
  await api("DELETE", `user/api-keys/${leaked.id}`, token);
  const rotated = await api("POST", `user/api-keys/${web.id}/rotate`, token, { grace_seconds: day });
  await statusWith(rotated.key);
  await advance(3 * 3600);
  for (let use = 0; use < 23; use++) await statusWith(nightly.key);
  return { nightly, web, expiring, leaked };
}

await scenario(async (page) => {
  const at = (path) => page.goto(`${origin}/dashboard/${path}`);
  await makeAdministrator("root@example.com");
  await register("new@example.com");
  await register("ada.lovelace@analytical-engines.example.com");
  const keys = await history("ada.lovelace@analytical-engines.example.com");

  await at("login");
  await look(page, "sign-in");
  await page.getByLabel("E-mail address").fill("ada@example.com");
  await page.getByLabel("Password").fill("not this one");
  await page.getByRole("button", { name: "Sign in" }).click();
  await look(page, "sign-in-wrong");
  await at("register");
  await look(page, "register");
  await page.getByLabel("E-mail address").fill("ada@example.com");
  await page.getByLabel("Password", { exact: true }).fill("password");
  await page.getByLabel("Password, once more").fill("passwort");
  await page.getByRole("button", { name: "Create account" }).click();
  await look(page, "register-wrong");

  await signIn(page, "new@example.com");
  await look(page, "keys-none");
  await at("audit");
  await look(page, "audit-none");
  await at("nowhere");
  await look(page, "not-found");
  await at("accounts");
  await look(page, "not-allowed");
  await at("keys");
  await signOut(page);

  await signIn(page, "ada.lovelace@analytical-engines.example.com");
  await look(page, "keys");
  await at("keys/new");
  await look(page, "new-key");
  await page.getByLabel("Name").fill(" ");
  await page.getByLabel("Allowed networks").fill("203.0.113.0/24\nthe office");
  await page.getByRole("button", { name: "Generate API Key" }).click();
  await look(page, "new-key-wrong");
  await at("keys/new");
  await page.getByLabel("Name").fill("Dashboards in the office");
  await page.getByLabel("read:all").check();
  await page.getByRole("button", { name: "Generate API Key" }).click();
  await look(page, "shown-key");
  for (const [name, key] of Object.entries(keys)) {
    await at(`keys/${key.id}`);
    await look(page, `key-${name}`);
  }
  for (const action of ["revoke", "disable"]) {
    await at(`keys/${keys.nightly.id}/${action}`);
    await look(page, action);
  }
  await at(`keys/${keys.expiring.id}`);
  await page.getByRole("button", { name: "Rotate key" }).click();
  await look(page, "rotated-key");
  await at("sessions");
  await look(page, "sessions");
  await at("account");
  await look(page, "account");
  await at("audit");
  await look(page, "audit");
  await at("keys");
  await signOut(page);

  await session("new@example.com");
  await signIn(page, "root@example.com");
  await at("all-keys");
  await look(page, "all-keys");
  await at("all-keys?state=expired&owner=nobody");
  await look(page, "all-keys-none");
  await at("audit");
  await look(page, "audit-of-everybody");
  await at("accounts");
  await look(page, "accounts");
  await page.getByRole("link", { name: "Add account" }).click();
  await look(page, "new-account");
  for (const email of ["ada.lovelace@analytical-engines.example.com", "root@example.com"]) {
    await at("accounts");
    await page.getByRole("link", { name: email, exact: true }).click();
    await look(page, `account-of-${email.split(/[.@]/)[0]}`);
  }
  await at("accounts");
  await page.getByRole("link", { name: "new@example.com", exact: true }).click();
  for (const action of ["End sessions", "Make administrator", "Disable account", "Delete account"]) {
    await page.getByRole("link", { name: action }).click();
    await look(page, `ask-${action.toLowerCase().replaceAll(" ", "-")}`);
    await page.getByRole("link", { name: "Cancel" }).click();
  }
  await at("audit");
  await look(page, "audit-of-all");
});
