// What Khronos' validator says of a file, as JSON:  node validate.mjs take.glb
import { readFileSync } from "node:fs";
import { validateBytes } from "gltf-validator";

console.log(JSON.stringify((await validateBytes(new Uint8Array(readFileSync(process.argv[2])))).issues));
