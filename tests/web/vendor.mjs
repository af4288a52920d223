// Writes src/duomorph/studio/page/vendor/three.js, or another folder:  npm ci && node vendor.mjs [FOLDER]
// One minified module of what three.mjs names, from the npm packages of package-lock.json; no browser needs a network.
import { copyFileSync, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { build } from "esbuild";

const here = import.meta.dirname;
const folder = process.argv[2] ?? resolve(here, "../../src/duomorph/studio/page/vendor");
mkdirSync(folder, { recursive: true });
await build({ entryPoints: [resolve(here, "three.mjs")], outfile: resolve(folder, "three.js"), bundle: true, minify: true,
  format: "esm", target: "es2022", legalComments: "eof", absWorkingDir: here });
copyFileSync(resolve(here, "node_modules/three/LICENSE"), resolve(folder, "three.LICENSE"));
