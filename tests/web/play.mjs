// What is seen at some times, as JSON: a list of {shapes: {name: [value in each mesh]}, head: quaternion x y z w}.
//   node play.mjs CHROMIUM FIGURE TIMES [MOTION]       a .glb with its animation, or a .vrm and a .vrma
import { open, serve } from "./serve.mjs";

const [chromium, figure, times, motion] = process.argv.slice(2);
const server = await serve({ figure, motion });
const { page, close } = await open(chromium, `${server.url}/play.html`, { width: 100, height: 100 });
await page.waitForFunction(() => window.play);
console.log(JSON.stringify(await page.evaluate(([...all]) => window.play(...all), [JSON.parse(times), Boolean(motion)])));
await close();
server.close();
