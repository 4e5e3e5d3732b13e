// Opens a page in Chromium and prints what it showed, said and asked for, as JSON.
// Usage: node viewer.cjs NODE_MODULES CHROMIUM URL WORD…
"use strict";
const path = require("node:path");

const [modules, executablePath, url, ...words] = process.argv.slice(2);
const { chromium } = require(path.join(modules, "playwright-core"));

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
  const seen = { requests: [], problems: [], refused: [] };
  try {
    const context = await browser.newContext();
    const page = await context.newPage();
    const origin = new URL(url).origin;
    // Nothing but the origin can be reached: the page has to work without a network.
    await context.route("**/*", (route) => {
      const asked = route.request().url();
      if (new URL(asked).origin === origin) return route.continue();
      seen.refused.push(asked);
      return route.abort();
    });
    page.on("request", (request) => seen.requests.push(request.url()));
    page.on("requestfailed", (request) => seen.problems.push(`failed: ${request.url()}`));
    page.on("response", (answer) => {
      if (answer.status() >= 400) seen.problems.push(`${answer.status()}: ${answer.url()}`);
    });
    page.on("pageerror", (error) => seen.problems.push(String(error)));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) seen.problems.push(message.text());
    });
    await page.goto(url, { waitUntil: "load" });
    const shown = () => page.evaluate(() => document.body.innerText);
    const end = Date.now() + 15000;
    do {
      seen.text = await shown();
      if (words.every((word) => seen.text.includes(word))) break;
      await page.waitForTimeout(100);
    } while (Date.now() < end);
    // What the page asks for late, such as an icon, counts too.
    await page.waitForLoadState("networkidle");
    seen.title = await page.title();
    if (process.env.TEST_SCREENSHOT) {
      await page.screenshot({ path: process.env.TEST_SCREENSHOT, fullPage: true });
    }
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
