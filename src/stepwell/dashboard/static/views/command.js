// Commands as somebody types them in a shell to do the same.
import { BASE } from "../base.js";
import { session } from "../session.js";

const PLAIN = /^[\w%+=:,./-]+$/;
// Where the command asks by itself.
const USUAL = ["http://localhost:8787", "http://127.0.0.1:8787"];

// A word as a shell takes it for one, whatever is in it.
export const quoted = (word) => (PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

// `stepwell NAME`, its options { name: value }, one or several, and its arguments, which may look like options.
export function command(name, given, options = {}) {
  const url = location.origin + BASE;
  const all = { ...options, url: USUAL.includes(url) ? "" : url, account: session.now.account === "local" ? "" : session.now.account };
  const chosen = Object.entries(all).flatMap(([option, values]) => [values].flat().filter(Boolean).map((value) => `--${option}=${value}`));
  const end = given.some((word) => word.startsWith("-")) ? ["--"] : [];
  return ["stepwell", ...name.split(" "), ...chosen, ...end, ...given].map(quoted).join(" ");
}
