// Addresses: every state that can be seen has one. `route` follows the browser's; links are ordinary ones.
import { BASE, belowBase, pathNow } from "./base.js";
import { isLive, withLive } from "./live.js";
import { Value, useValue } from "./store.js";

const address = new Value(pathNow() + location.search);

// `parts` are encoded one by one, so an id with a slash stays one part.
const path = (...parts) => "/" + parts.map(encodeURIComponent).join("/");
export const workflowUrl = (name, tab) => path("workflows", name, ...(tab ? [tab] : []));
export const instanceUrl = (workflow, id, query) => path("workflows", workflow, "instances", id) + queryText(query ?? {});

// Lines of the source of a version, of the newest if it is not named.
export const sourceUrl = (workflow, version, { file, line, last_line: last }) => workflowUrl(workflow, "source") + queryText({ version, file, line, to: last > line ? last : "" });

// A step of an instance, on the tab that is open.
export const stepUrl = ({ workflow, id, query }, step, attempt = "") => instanceUrl(workflow, id, { ...query, step, attempt });

// Two instances side by side; without the second one it is chosen there.
export const compareUrl = (workflow, a, b, more) => workflowUrl(workflow, "compare") + queryText({ a, b, ...more });

// Members that are empty are left out, so that what is not set is not in the address. Each line of one is given by itself.
export function queryText(query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "" && value !== false) linesOf(String(value)).forEach((line) => search.append(name, line));
  }
  const text = search.toString();
  return text && "?" + text;
}

export function go(to, { replace = false } = {}) {
  const url = withLive(to);
  if (url === here()) return;
  history[replace ? "replaceState" : "pushState"](null, "", BASE + url);
  address.set(url);
}

export const linesOf = (text) => (text ? text.split("\n") : []);
export const toggled = (text, line) => (linesOf(text).includes(line) ? linesOf(text).filter((one) => one !== line) : [...linesOf(text), line]).join("\n");

function queryOf(search) {
  const query = {};
  for (const [name, value] of new URLSearchParams(search)) query[name] = Object.hasOwn(query, name) ? `${query[name]}\n${value}` : value;
  return query;
}

// Change some parameters of this address. While somebody types the entry is replaced; a click makes a new one.
export function changeQuery(changes, options) {
  go(pathNow() + queryText({ ...queryOf(location.search), ...changes }), options);
}

export function useRoute() {
  const [pathname, search] = useValue(address).split(/\?(.*)/s);
  return { ...pageAt(pathname), query: queryOf(search ?? ""), url: address.now };
}

function pageAt(pathname) {
  const [first, name, tab, ...rest] = pathname.split("/").slice(1).map(decoded);
  const pages = { "": "overview", login: "login", workflows: "workflows", instances: "instances", schedules: "schedules", hosts: "hosts", jobs: "jobs", audit: "audit", facts: "facts", webhooks: "webhooks", about: "about" };
  if (name === undefined || name === "") return { page: Object.hasOwn(pages, first) ? pages[first] : "nothing" };
  if (first === "webhooks" && tab === undefined) return { page: "webhooks", id: name };
  if (first !== "workflows") return { page: "nothing" };
  if (tab === "instances" && rest.length && rest[0] !== "") return { page: "instance", workflow: name, id: rest.join("/") };
  const tabs = { graph: "graph", source: "source", versions: "versions", schedules: "schedules", limits: "limits", settings: "settings", compare: "compare" };
  if (tab === undefined || tab === "" || (tab === "instances" && !rest[0])) return { page: "instances", workflow: name };
  return Object.hasOwn(tabs, tab) && !rest.length ? { page: tabs[tab], workflow: name } : { page: "nothing" };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const here = () => pathNow() + location.search;
// The switch stays as it is, wherever one goes.
isLive.follow(() => go(here(), { replace: true }));
addEventListener("popstate", () => {
  history.replaceState(null, "", BASE + withLive(here()));
  address.set(here());
});

// Clicks on our own links stay in the page; those with a key, a target or another button are the browser's.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target || link.hash || link.hasAttribute("download") || link.origin !== location.origin) return;
  const to = belowBase(link.pathname);
  if (pageAt(to).page === "nothing") return;
  event.preventDefault();
  const changes = to !== pathNow();
  go(to + link.search);
  if (changes) scrollTo(0, 0);
});
