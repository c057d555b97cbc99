// Bundles src/ and what it needs of three.js into data/viewer.js, with three's licence on top.
import { readFile } from "node:fs/promises";
import { build } from "esbuild";

const licence = await readFile("node_modules/three/LICENSE", "utf8");
const { version } = JSON.parse(await readFile("node_modules/three/package.json", "utf8"));
const banner = `/*! facefit's viewer, Apache-2.0. With parts of three.js ${version}:\n\n${licence.trim()}\n*/`;
await build({
  entryPoints: ["src/main.js"],
  outfile: "../data/viewer.js",
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "ascii",
  legalComments: "none",
  banner: { js: banner },
});
