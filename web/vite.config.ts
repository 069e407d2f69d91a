import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const ROOT = import.meta.dirname;
const WASM = "ort-wasm-simd-threaded.wasm";

/** onnxruntime's WebAssembly, packed (14 MB are 4), under a name that does not change; the page hands it over itself. */
const runtime: Plugin = {
  name: "runtime",
  transform(code, id) {
    if (id.includes("onnxruntime-web")) return code.replace(/new URL\("[^"]*\.wasm",\s*import\.meta\.url\)\.href/g, '""');
  },
  generateBundle() {
    const packed = gzipSync(readFileSync(join(ROOT, "node_modules/onnxruntime-web/dist", WASM)), { level: 9 });
    packed[9] = 255; // the system it was packed on: unknown, so that every machine builds the same bytes
    this.emitFile({ type: "asset", fileName: "assets/onnxruntime.wasm.gz", source: packed });
  },
};

/** What the page was built from, for the test that it is built from the present source. */
const record: Plugin = {
  name: "record",
  generateBundle() {
    this.emitFile({ type: "asset", fileName: "build.json", source: JSON.stringify({ source: sourceHash() }) + "\n" });
  },
};

/** sha-256 over names and contents (line ends as \n) of everything the page is made of, in the order of the names. */
function sourceHash(): string {
  const inside = (folder: string): string[] =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1).replaceAll("\\", "/"));
  const names = ["index.html", "package.json", "vite.config.ts", ...inside("public"), ...inside("src")].sort();
  const hash = createHash("sha256");
  for (const name of names) hash.update(`${name}\n${readFileSync(join(ROOT, name), "utf8").replaceAll("\r\n", "\n")}\n`);
  return hash.digest("hex");
}

export default defineConfig({
  base: "./",
  plugins: [runtime, record],
  build: {
    outDir: "../src/vaekit/explorer/page",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
    rolldownOptions: {
      output: {
        entryFileNames: "assets/[name].js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
  test: { environment: "node", include: ["test/**/*.test.ts"] },
});
