// Every shape of a head with ARKit's names, and mouths of speech, on one picture:
//   node sheet.mjs chromium ../../src/duomorph/assets/head.glb ../../docs/head.png
import { readFileSync } from "node:fs";
import { open, serve } from "./serve.mjs";

const [chromium, head, out, only] = process.argv.slice(2);
const both = (name, x) => ({ [`${name}Left`]: x, [`${name}Right`]: x });
const visemes = {
  rest: {}, "P B M": { jawOpen: 0.12, mouthClose: 0.12, ...both("mouthPress", 0.4), mouthRollLower: 0.2 },
  "F V": { jawOpen: 0.1, mouthRollLower: 0.7, ...both("mouthUpperUp", 0.35) },
  "TH": { jawOpen: 0.2, tongueOut: 0.45, ...both("mouthLowerDown", 0.2) },
  "T D N S": { jawOpen: 0.1, ...both("mouthLowerDown", 0.35), ...both("mouthUpperUp", 0.25), ...both("mouthStretch", 0.2) },
  "SH CH": { jawOpen: 0.1, mouthFunnel: 0.7, mouthPucker: 0.2 }, "K G": { jawOpen: 0.22, ...both("mouthLowerDown", 0.15) },
  A: { jawOpen: 0.75 }, E: { jawOpen: 0.35, ...both("mouthStretch", 0.35), ...both("mouthLowerDown", 0.3), ...both("mouthUpperUp", 0.2) },
  I: { jawOpen: 0.15, ...both("mouthSmile", 0.35), ...both("mouthStretch", 0.35), ...both("mouthLowerDown", 0.35) },
  O: { jawOpen: 0.4, mouthFunnel: 0.6, mouthPucker: 0.3 }, U: { jawOpen: 0.12, mouthPucker: 0.8, mouthFunnel: 0.25 },
  "jawOpen, mouthClose": { jawOpen: 1, mouthClose: 1 }, "half of both": { jawOpen: 0.5, mouthClose: 0.5 },
  joy: { jawOpen: 0.2, ...both("mouthSmile", 0.9), ...both("cheekSquint", 0.7), ...both("eyeSquint", 0.3), browInnerUp: 0.3, ...both("mouthUpperUp", 0.3) },
  sad: { browInnerUp: 0.9, ...both("mouthFrown", 0.8), mouthShrugLower: 0.4, ...both("eyeBlink", 0.2), ...both("eyeLookDown", 0.4) },
  angry: { ...both("browDown", 1), ...both("noseSneer", 0.6), ...both("eyeSquint", 0.4), ...both("mouthPress", 0.6), ...both("mouthFrown", 0.3) },
  surprised: { jawOpen: 0.6, browInnerUp: 0.9, ...both("browOuterUp", 0.9), ...both("eyeWide", 0.9), mouthFunnel: 0.2 },
};
const names = JSON.parse(readFileSync(head).subarray(20, 20 + readFileSync(head).readUInt32LE(12)))
  .meshes.find(({ extras }) => extras?.targetNames).extras.targetNames;
let poses = [...Object.entries(visemes).map(([name, weights]) => ({ name, weights })),
  ...names.map((name) => ({ name, weights: { [name]: 1 } }))];
let columns = 10, size = 170, view = [0, 0.0, 0.86, -0.012];
if (only) ({ poses, columns, size, view } = { columns, size, view, ...JSON.parse(only) });

const server = await serve({ "head.glb": head });
const { page, close } = await open(chromium, `${server.url}/sheet.html`,
  { width: columns * size, height: Math.ceil(poses.length / columns) * (size + 22) });
await page.waitForFunction(() => window.draw);
await page.evaluate(([...all]) => window.draw(...all), [poses, columns, size, view]);
await page.screenshot({ path: out, timeout: 170000 });
await close();
server.close();
