// The main way with scripts switched off: nothing is missing but the buttons that copy.

import assert from "node:assert/strict";
import { origin, password, scenario, secret, signIn, signOut, statusWith } from "./support.mjs";

await scenario(
  async (page) => {
    await page.goto(`${origin}/dashboard/register`);
    await page.getByLabel("E-mail address").fill("ada@example.com");
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByLabel("Password, once more").fill(password);
    await page.getByRole("button", { name: "Create account" }).click();
    await signIn(page, "ada@example.com");
    await page.getByRole("link", { name: "Generate API Key" }).click();
    await page.getByLabel("Name").fill("without scripts");
    await page.getByRole("button", { name: "Generate API Key" }).click();
    const shown = page.getByLabel("API key", { exact: true });
    const first = secret(await shown.textContent());
    assert.equal(await page.getByRole("button", { name: /Copy/ }).count(), 0, "a button that does nothing");
    await page.getByRole("link", { name: "I have copied it" }).click();
    await page.getByLabel("Grace for the old secret").selectOption("24 hours");
    await page.getByRole("button", { name: "Rotate key" }).click();
    const second = secret(await shown.textContent());
    assert.deepEqual([await statusWith(first), await statusWith(second)], [200, 200]);
    await page.getByRole("link", { name: "I have copied it" }).click();
    assert.equal(await page.locator(".heading .badge-grace time").textContent(), "1 d 0 h left");
    await page.getByText("In numbers").click();
    await page.getByRole("link", { name: "Revoke key" }).click();
    await page.getByRole("button", { name: "Revoke key" }).click();
    await page.getByText("The key has been revoked.").waitFor();
    assert.deepEqual([await statusWith(first), await statusWith(second)], [401, 401]);
    await page.getByRole("link", { name: "Sessions" }).click();
    await page.getByText("This session").waitFor();
    await signOut(page);
  },
  { javaScriptEnabled: false },
);
