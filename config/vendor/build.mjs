// Turns the locked libraries into what the browser loads: one ES module a library (esbuild), one icon sprite, and the
// import map that names them. Run after `npm ci --ignore-scripts`, from anywhere; running it again changes nothing.
// It never touches our own code: our modules are served as they are written.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const out = join(root, "crm_core", "web", "static", "vendor");
const libraries = ["jssip"];
const target = ["chrome120", "firefox125", "safari17.4"];

const json = (name) => JSON.parse(readFileSync(join(here, name), "utf8"));

async function bundle(name) {
  const result = await build({
    entryPoints: [join(here, `${name}.mjs`)],
    bundle: true, format: "esm", minify: true, target, write: false, legalComments: "none", logLevel: "warning",
    define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
  });
  const code = result.outputFiles[0].contents;
  const hash = createHash("sha256").update(code).digest("hex").slice(0, 12);
  return { file: `${name}-${hash}.js`, code };
}

function lucide(id, name) {
  const source = readFileSync(join(root, "node_modules", "lucide-static", "icons", `${name}.svg`), "utf8");
  const body = source.slice(source.indexOf(">", source.indexOf("<svg")) + 1, source.lastIndexOf("</svg>"));
  const shapes = body.replace(/\s*\n\s*/g, "").replace(/ \/>/g, "/>");
  return `<symbol id="${id}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"`
    + ` stroke-linecap="round" stroke-linejoin="round">${shapes}</symbol>`;
}

function state(id, path) {
  return `<symbol id="${id}" viewBox="0 0 16 16"><path fill="currentColor" fill-rule="evenodd" d="${path}"/></symbol>`;
}

function sprite() {
  const states = Object.entries(json("states.json")).map(([id, path]) => state(id, path));
  const icons = Object.entries(json("icons.json")).map(([id, name]) => lucide(id, name));
  return `<svg xmlns="http://www.w3.org/2000/svg">${[...states, ...icons].join("")}</svg>\n`;
}

mkdirSync(out, { recursive: true });
const built = await Promise.all(libraries.map(bundle));
const imports = Object.fromEntries(built.map(({ file }, n) => [libraries[n], `/static/vendor/${file}`]));
const files = new Map(built.map(({ file, code }) => [file, code]));
files.set("icons.svg", sprite());
files.set("import-map.json", `${JSON.stringify({ imports }, null, 2)}\n`);
for (const old of readdirSync(out)) if (!files.has(old)) rmSync(join(out, old));
for (const [file, content] of files) writeFileSync(join(out, file), content);
