// What examples/browser gives for a sound, as JSON: {page, chunks: {SIZE: frames}, told, heard}.
//   node speak.mjs CHROMIUM EXAMPLE MODEL WAV DELAY_MS STYLE       MODEL: path of a .onnx with its .json, less suffix
// `page`: as the page plays the file (100 ms, its own style); `chunks`: fed by that many samples at once; `heard`: the
// face moved to a microphone that plays the file.
import { readFileSync } from "node:fs";
import { open, serve } from "./serve.mjs";

const [chromium, example, model, wav, delayMs, style] = process.argv.slice(2);
const files = ["index.html", "duomorph.mjs", "draw.mjs"].map((name) => [name, `${example}/${name}`]);
const server = await serve({ ...Object.fromEntries(files), "it.onnx": `${model}.onnx`, "it.json": `${model}.json` });
const { page, close } = await open(chromium, `${server.url}/index.html?model=it`, { width: 420, height: 520 },
  ["--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    `--use-file-for-fake-audio-capture=${wav}`]);
await page.waitForFunction(() => told.textContent === "ready");
const closed = await page.evaluate(() => canvas.toDataURL());
await page.setInputFiles("#file", wav);
await page.waitForFunction(() => told.textContent.endsWith("real time"));
const whole = await page.evaluate(() => window.frames.map((weights) => [...weights]));
const told = await page.textContent("#told");
await page.waitForFunction((before) => canvas.toDataURL() !== before, closed);  // it speaks

const samples = [...new Int16Array(readFileSync(wav).buffer.slice(44))];
const chunks = await page.evaluate(async ([samples, delayMs, style]) => {
  const { Face } = await import("./duomorph.mjs"), ort = await import("onnxruntime-web");
  const face = await Face.load(ort, "it"), sound = Float32Array.from(samples, (x) => x / 32768), found = {};
  const stream = face.stream({ delayMs, style });
  for (const size of [128, 1001, sound.length]) {
    const frames = [];
    for (let at = 0; at < sound.length; at += size) frames.push(...await stream.feed(sound.subarray(at, at + size)));
    frames.push(...await stream.finish());
    found[size] = frames.map((weights) => [...weights]);
    stream.reset();
  }
  return found;
}, [samples, Number(delayMs), style]);
await page.click("#microphone");
await page.waitForFunction(() => told.textContent === "listening");
const before = await page.evaluate(() => canvas.toDataURL());
await page.waitForFunction((before) => canvas.toDataURL() !== before, before);
const heard = await page.textContent("#told");
console.log(JSON.stringify({ page: whole, chunks, told, heard }));
await close();
server.close();
