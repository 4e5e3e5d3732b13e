// Opens a page in Chromium, acts on it, and prints what it showed, said and asked for, as JSON.
// Usage: node page.cjs NODE_MODULES CHROMIUM PLAN, with PLAN as JSON:
//   url         the page; nothing but its origin can be reached
//   words       texts to wait for
//   views       [[WIDTH, SCHEME], …] to look at the page in; the first one holds while it acts
//   steps       [["fill", SELECTOR, TEXT], ["click", SELECTOR], ["press", KEY], ["see", TEXT],
//               ["evaluate", SCRIPT]], where the last one's value is added to `values`
//   axe         true: judge the page with axe-core in each view
//   screenshot  a file for a picture of the last view; `height` cuts it, pixels
"use strict";
const fs = require("node:fs");
const path = require("node:path");

const [modules, executablePath, text] = process.argv.slice(2);
const { chromium } = require(path.join(modules, "playwright-core"));
const plan = { words: [], views: [[1400, "light"]], steps: [], ...JSON.parse(text) };
const PATIENCE_MS = 20000;
const HEIGHT = 900;

async function main() {
  const browser = await chromium.launch({
    executablePath,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  const seen = { requests: [], problems: [], refused: [], values: [], bytes: 0, views: [] };
  try {
    const [[width, colorScheme]] = plan.views;
    const viewport = { width, height: HEIGHT };
    const context = await browser.newContext({ viewport, colorScheme });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    await observe(context, page, seen);
    await page.goto(plan.url, { waitUntil: "load" });
    for (const word of plan.words) await see(page, word);
    for (const step of plan.steps) await act(page, step, seen);
    // What the page asks for late, such as an icon, counts too. A page that polls is never idle.
    await page.waitForLoadState("networkidle", { timeout: 3000 }).catch(() => {});
    seen.title = await page.title();
    seen.text = await page.evaluate(() => document.body.innerText);
    for (const [width, colorScheme] of plan.views) seen.views.push(await view(page, width, colorScheme));
    if (plan.screenshot) await picture(page);
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify(seen));
}

async function observe(context, page, seen) {
  const origin = new URL(plan.url).origin;
  await context.route("**/*", (route) => {
    const asked = route.request().url();
    if (new URL(asked).origin === origin) return route.continue();
    seen.refused.push(asked);
    return route.abort();
  });
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("websocket", (socket) => seen.requests.push(socket.url()));
  page.on("requestfailed", (request) => seen.problems.push(`failed: ${request.url()}`));
  page.on("requestfinished", async (request) => {
    // A page that polls may still be asking when it is closed.
    const sizes = await request.sizes().catch(() => ({ responseBodySize: 0, responseHeadersSize: 0 }));
    seen.bytes += sizes.responseBodySize + sizes.responseHeadersSize;
  });
  page.on("response", (answer) => {
    if (answer.status() >= 400) seen.problems.push(`${answer.status()}: ${answer.url()}`);
  });
  page.on("pageerror", (error) => seen.problems.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) seen.problems.push(message.text());
  });
}

async function see(page, word) {
  await page.waitForFunction((text) => document.body.innerText.includes(text), word);
}

async function act(page, [kind, ...of], seen) {
  if (kind === "fill") await page.fill(...of);
  else if (kind === "click") await page.click(...of);
  else if (kind === "press") await page.keyboard.press(...of);
  else if (kind === "select") await page.selectOption(...of);
  else if (kind === "see") await see(page, ...of);
  else if (kind === "evaluate") seen.values.push(await page.evaluate(...of));
  else throw new Error(`no such step: ${kind}`);
}

async function view(page, width, colorScheme) {
  await page.setViewportSize({ width, height: HEIGHT });
  await page.emulateMedia({ colorScheme });
  const wider = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  return { width, colorScheme, wider, violations: plan.axe ? await violations(page) : [] };
}

async function picture(page) {
  const [width] = plan.views.at(-1);
  const clip = plan.height && { x: 0, y: 0, width, height: plan.height };
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: plan.screenshot, fullPage: true, ...(clip && { clip }) });
}

// Evaluated, not added as a script: a page's policy allows only its own.
async function violations(page) {
  await page.evaluate(fs.readFileSync(path.join(modules, "axe-core", "axe.min.js"), "utf-8"));
  const found = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  return found.violations.map(({ id, impact, help, nodes }) => ({
    id,
    impact,
    help,
    nodes: nodes.slice(0, 5).map((node) => `${node.target.join(" ")}: ${node.failureSummary}`),
  }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
