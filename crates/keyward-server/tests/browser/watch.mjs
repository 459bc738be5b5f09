// That what watches the pages sees what it is there for: each of these has to be told.

import assert from "node:assert/strict";
import { faultsOfAccess, origin, scenario } from "./support.mjs";

await scenario(async (page, _, problems) => {
  await page.goto(`${origin}/dashboard/login`);
  assert.deepEqual(await faultsOfAccess(page), []);
  // Within the page, where its policy holds.
  await page.evaluate(async () => {
    document.body.setAttribute("style", "color: red");
    document.body.insertAdjacentHTML("beforeend", `<img src="https://evil.example/x.png" onerror="keywardTold('ran')"><p>low</p>`);
    document.body.append(Object.assign(document.createElement("script"), { textContent: "keywardTold('ran')" }));
    console.error("an error");
    setTimeout(() => {
      throw new Error("thrown");
    });
    await new Promise((done) => setTimeout(done, 300));
  });
  const told = problems.join("\n");
  for (const wanted of ["policy: style-src", "policy: img-src", "policy: script-src", "console: an error", "script: Error: thrown"]) {
    assert.ok(told.includes(wanted), `${wanted} is missing in\n${told}`);
  }
  assert.ok(!told.includes("ran"), "the policy lets scripts run");
  await page.evaluate(() => document.querySelector("label").remove());
  assert.match((await faultsOfAccess(page)).join("\n"), /critical label/);
  problems.length = 0;
});
