// What the scripts beside this share: a server for a folder, and Chromium that draws with its own software.
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, resolve } from "node:path";
import { chromium } from "playwright-core";

const KINDS = { ".html": "text/html", ".mjs": "text/javascript", ".js": "text/javascript", ".json": "application/json",
  ".wasm": "application/wasm" };

// Files of this folder, and `extra` ones by name: {"head.glb": "/path/to/head.glb"}. Gives its address and `close`.
export function serve(extra = {}) {
  const server = createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url, "http://localhost").pathname.slice(1));
    const path = extra[name] ?? resolve(import.meta.dirname, name);
    if (!existsSync(path)) return response.writeHead(404).end();
    response.writeHead(200, { "Content-Type": KINDS[extname(path)] ?? "application/octet-stream" });
    createReadStream(path).pipe(response);
  });
  return new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(
    { url: `http://localhost:${server.address().port}`, close: () => server.close() })));
}

// A page whose errors end the program. `more`: arguments for Chromium.
export async function open(executablePath, url, viewport, more = []) {
  const browser = await chromium.launch({ executablePath, headless: true, args: ["--no-sandbox", "--use-gl=angle",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run", "--disable-background-networking",
    ...more] });
  const page = await browser.newPage({ viewport });
  const fail = (what) => { console.error(what); process.exit(1); };
  page.on("pageerror", (error) => fail(String(error)));
  page.on("console", (message) => { if (["error", "warning"].includes(message.type()) && !message.text().includes("GPU stall") && !message.text().includes("favicon")) fail(message.text()); });
  await page.goto(url);
  return { page, close: () => browser.close() };
}
