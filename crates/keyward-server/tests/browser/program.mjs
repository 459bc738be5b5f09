// `keyward serve` as it is run: an administrator signs in, makes a key and an account, and ends both.

import assert from "node:assert/strict";
import { makeAdministrator, origin, password, scenario, secret, signIn, signOut } from "./support.mjs";

await scenario(async (page) => {
  const status = async (key) => (await fetch(`${origin}/whoami`, { headers: { authorization: `Bearer ${key}` } })).status;
  await makeAdministrator("root@example.com");
  await page.goto(`${origin}/dashboard/login`);
  assert.equal(await page.getByRole("link", { name: "Create an account" }).count(), 0, "nobody signs up by themselves");
  await signIn(page, "root@example.com");
  await page.getByRole("link", { name: "Generate API Key" }).click();
  await page.getByLabel("Name").fill("of the program");
  await page.getByLabel("Further scopes").fill("reports:read");
  await page.getByLabel("Quotas").fill("5/hour");
  await page.getByRole("button", { name: "Generate API Key" }).click();
  const key = secret(await page.getByLabel("API key", { exact: true }).textContent());
  await page.getByRole("link", { name: "I have copied it" }).click();
  for (let use = 0; use < 3; use++) assert.equal(await status(key), 200);
  await page.reload();
  assert.equal(await page.getByRole("meter", { name: "5/hour" }).getAttribute("value"), "2");
  await page.getByRole("link", { name: "Revoke key" }).click();
  await page.getByRole("button", { name: "Revoke key" }).click();
  await page.getByText("The key has been revoked.").waitFor();
  assert.equal(await status(key), 401);

  await page.getByRole("link", { name: "Accounts" }).click();
  await page.getByRole("link", { name: "Add account" }).click();
  await page.getByLabel("E-mail address").fill("ada@example.com");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByLabel("Password, once more").fill(password);
  await page.getByRole("button", { name: "Add account" }).click();
  await page.getByText("The account is there.").waitFor();
  const account = page.url().split("?")[0];
  await signOut(page);
  await signIn(page, "ada@example.com");
  await page.goto(account);
  await page.getByRole("heading", { name: "This is not allowed" }).waitFor();
  await signOut(page);
  await signIn(page, "root@example.com");
  await page.goto(account);
  await page.getByRole("link", { name: "Disable account" }).click();
  await page.getByRole("button", { name: "Disable account" }).click();
  await page.getByText("The account has been disabled").waitFor();
  await signOut(page);
  await page.getByLabel("E-mail address").fill("ada@example.com");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("The e-mail address or the password is wrong.").waitFor();
});
