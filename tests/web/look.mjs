// Opens a page in Chromium and does what standard input says; each answer is one line of JSON.
//   node look.mjs CHROMIUM PROFILE URL        then lines:  shot FILE | wait TEXT | quit
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [executablePath, profile, url] = process.argv.slice(2);
const context = await chromium.launchPersistentContext(profile, {
  executablePath, headless: true, viewport: { width: 400, height: 400 },
  args: ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"],
});
const page = context.pages()[0];
const seen = { texts: 0, frames: 0, errors: [] };
page.on("pageerror", (error) => seen.errors.push(String(error)));
page.on("console", (message) => { if (message.type() === "error") seen.errors.push(message.text()); });
page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => {
  if (typeof payload === "string") seen.texts++; else seen.frames++;
}));
await page.goto(url);
const say = (extra = {}) => console.log(JSON.stringify({ ...seen, ...extra }));
say();
for await (const line of createInterface({ input: process.stdin })) {
  const [order, what] = [line.split(" ", 1)[0], line.slice(line.indexOf(" ") + 1)];
  if (order === "quit") break;
  if (order === "wait") await page.waitForFunction((text) => document.body.textContent.includes(text), what, { timeout: 30000 });
  if (order === "shot") await page.screenshot({ path: what });
  say();
}
await context.close();
