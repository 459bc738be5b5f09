// What every scenario needs: a browser that is watched, people with accounts, and time that passes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export const settings = JSON.parse(process.env.KEYWARD_BROWSER_TEST);
const installed = createRequire(settings.modules + "/");
const { chromium } = installed("playwright-core");
const axe = readFileSync(installed.resolve("axe-core/axe.min.js"), "utf8");

export const { origin } = settings;
export const password = "a dozen mauve geese";

// Whoever started this holds our input open, and is gone where it ends.
process.stdin.on("close", () => process.exit(3)).resume();

/// What nobody may find in an address or on the disk.
const secrets = new Set();

export function secret(text) {
  assert.ok(text.length >= 12, text);
  secrets.add(text);
  return text;
}

const launching = {
  executablePath: settings.chromium,
  args: [
    // Its sandbox does not work for root, nor in most containers; the pages are ours.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    // It is to talk to nobody else.
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
};

/// Runs a scenario with a browser whose every page is watched. It fails for what goes wrong on any of them, too.
export async function scenario(play, { ownPagesOnly = true, ...options } = {}) {
  const timer = setTimeout(() => {
    console.error("the scenario takes longer than ten minutes");
    process.exit(4);
  }, 600_000);
  const context = await chromium.launchPersistentContext(settings.profile, { ...launching, ...options });
  context.setDefaultTimeout(60_000);
  const problems = await watch(context, ownPagesOnly);
  let page;
  try {
    page = context.pages()[0];
    await play(page, context, problems);
    assert.deepEqual(problems, []);
  } catch (error) {
    console.error(`on ${page?.url()}:`);
    throw error;
  } finally {
    await context.close();
    clearTimeout(timer);
  }
  console.log(JSON.stringify({ secrets: [...secrets] }));
  process.exit(0);
}

/// Collects what must not happen: violations of the content security policy, errors of scripts, requests to anybody else.
async function watch(context, ownPagesOnly) {
  const problems = [];
  await context.exposeBinding("keywardTold", (_, what) => problems.push(what));
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      keywardTold(`policy: ${event.effectiveDirective} ${event.blockedURI} on ${event.documentURI}`),
    );
  });
  context.on("console", (message) => {
    // What is refused is told there, too; statuses are judged where they are expected.
    const isStatus = /^Failed to load resource: the server responded with a status of 4/.test(message.text());
    if (message.type() === "error" && !isStatus) problems.push(`console: ${message.text()}`);
  });
  context.on("weberror", (error) => problems.push(`script: ${error.error()}`));
  context.on("dialog", (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  context.on("request", (request) => {
    if (ownPagesOnly && !request.url().startsWith(`${origin}/`) && !request.url().startsWith("data:")) problems.push(`request: ${request.url()}`);
  });
  return problems;
}

/// Lets time pass for the site.
export async function advance(seconds) {
  const answer = await fetch(`${settings.clock}/advance/${seconds}`, { method: "POST" });
  assert.equal(answer.status, 200);
}

/// The status of a request with a key, by plain HTTP.
export async function statusWith(key) {
  const answer = await fetch(`${origin}/reports`, { headers: { authorization: `Bearer ${key}` } });
  await answer.text();
  return answer.status;
}

/// A request to the API; its document.
export async function api(method, path, credential, fields) {
  const headers = { authorization: `Bearer ${credential}`, "content-type": "application/json" };
  const answer = await fetch(`${origin}/api/v1/${path}`, { method, headers, body: fields && JSON.stringify(fields) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

/// The first account, which is an administrator's.
export async function makeAdministrator(email) {
  return await api("POST", "accounts", settings.firstKey, { email, password });
}

/// Signs up by the API.
export async function register(email) {
  const body = new URLSearchParams({ email, password, confirm_password: password });
  const answer = await fetch(`${origin}/api/v1/auth/register`, { method: "POST", body, redirect: "manual" });
  assert.equal(answer.status, 303);
}

/// The token of a new session, by the API.
export async function session(email) {
  const body = new URLSearchParams({ email, password });
  const answer = await fetch(`${origin}/api/v1/auth/login`, { method: "POST", body, redirect: "manual" });
  assert.equal(answer.status, 303);
  return secret(/kws_[^;]*/.exec(answer.headers.get("set-cookie"))[0]);
}

export async function signIn(page, email) {
  await page.goto(`${origin}/dashboard/login`);
  await page.getByLabel("E-mail address").fill(email);
  await page.getByLabel("Password").fill(secret(password));
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${origin}/dashboard/keys`);
}

export async function signOut(page) {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${origin}/dashboard/login`);
}

/// What axe finds wrong on a page, in words: by all rules, or by some.
export async function faultsOfAccess(page, rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]) {
  // By the debugger's protocol, to which the page's policy does not apply.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
  const { violations } = await page.evaluate((runOnly) => axe.run({ runOnly, resultTypes: ["violations"] }), rules);
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map((node) => `${impact} ${id}: ${node.html} ${node.failureSummary.replaceAll("\n", " ")}`),
  );
}
