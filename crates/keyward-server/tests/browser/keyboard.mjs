// The way from signing up to a revoked key by keyboard alone, and where the focus is can always be seen.

import assert from "node:assert/strict";
import { origin, password, scenario, secret, statusWith } from "./support.mjs";

await scenario(async (page) => {
  /// Goes on with the tabulator until something of this name has the focus.
  async function go(role, name) {
    for (let steps = 0; steps < 60; steps++) {
      await page.keyboard.press("Tab");
      const focused = page.locator(":focus");
      if ((await focused.count()) === 0) continue;
      const isSeen = await focused.evaluate((element) => {
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        const { width, height } = element.getBoundingClientRect();
        return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && width > 0 && height > 0;
      });
      assert.ok(isSeen, `the focus is not seen on ${await focused.evaluate((element) => element.outerHTML.slice(0, 120))}`);
      if (await page.getByRole(role, { name, exact: true }).and(focused).count()) return;
    }
    assert.fail(`there is no way to ${role} ${name} on ${page.url()}`);
  }
  const type = async (name, text) => {
    await go("textbox", name);
    await page.keyboard.type(text);
  };
  const press = async (role, name) => {
    await go(role, name);
    await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
  };

  await page.goto(`${origin}/dashboard`);
  await press("link", "Create an account");
  // The first stop leads past what is on every page.
  await page.keyboard.press("Tab");
  assert.equal(await page.locator(":focus").textContent(), "Skip to content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await type("E-mail address", "ada@example.com");
  await type("Password", secret(password));
  await type("Password, once more", password);
  await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
  await type("E-mail address", "ada@example.com");
  await type("Password", password);
  await Promise.all([page.waitForURL(`${origin}/dashboard/keys`), page.keyboard.press("Enter")]);

  await press("link", "Generate API Key");
  await type("Name", "by keyboard");
  await go("checkbox", "read:all");
  await page.keyboard.press("Space");
  await go("combobox", "Expires after");
  await page.keyboard.press("ArrowDown");
  await press("button", "Generate API Key");
  const first = secret(await page.getByLabel("API key", { exact: true }).textContent());
  await go("button", "Copy the key");
  await page.keyboard.press("Enter");
  await page.getByText(/^It (was copied|is selected)/).waitFor();
  await press("link", "I have copied it");
  await page.getByText("in 6 months").waitFor();

  await go("combobox", "Grace for the old secret");
  await page.keyboard.press("Home");
  await press("button", "Rotate key");
  const second = secret(await page.getByLabel("API key", { exact: true }).textContent());
  assert.deepEqual([await statusWith(first), await statusWith(second)], [401, 200]);
  await press("link", "I have copied it");
  await press("link", "Revoke key");
  await press("button", "Revoke key");
  assert.equal(await statusWith(second), 401);
  await press("link", "Sessions");
  await press("button", "Sign out");
  assert.equal(page.url(), `${origin}/dashboard/login`);
});
