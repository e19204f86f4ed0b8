// Serves worker.js by Miniflare, which is installed where this is started: node serve.mjs PORT FOLDER
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const { Miniflare } = createRequire(join(process.cwd(), "package.json"))("miniflare");
const [port, folder] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const server = new Miniflare({
  host: "127.0.0.1",
  port: Number(port),
  cf: false,
  modules: true,
  modulesRoot: here,
  scriptPath: join(here, "worker.js"),
  compatibilityDate: "2026-07-01",
  workflows: { BENCH: { name: "bench", className: "Bench", stepLimit: 10000 } },
  workflowsPersist: folder,
  defaultPersistRoot: folder,
});
await server.ready;
process.on("SIGTERM", async () => {
  await server.dispose();
  process.exit(0);
});
