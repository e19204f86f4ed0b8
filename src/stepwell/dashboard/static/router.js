// Addresses: every state that can be seen has one. `route` follows the browser's; links are ordinary ones.
import { Value, useValue } from "./store.js";

const address = new Value(location.pathname + location.search);

// `parts` are encoded one by one, so an id with a slash stays one part.
const path = (...parts) => "/" + parts.map(encodeURIComponent).join("/");
export const workflowUrl = (name, tab) => path("workflows", name, ...(tab ? [tab] : []));
export const instanceUrl = (workflow, id, query) => path("workflows", workflow, "instances", id) + queryText(query ?? {});

// Members that are empty are left out, so that what is not set is not in the address.
export function queryText(query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "" && value !== false) search.set(name, value);
  }
  const text = search.toString();
  return text && "?" + text;
}

export function go(url, { replace = false } = {}) {
  if (url === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", url);
  address.set(url);
}

// Change some parameters of this address. While somebody types the entry is replaced; a click makes a new one.
export function changeQuery(changes, options) {
  const query = { ...Object.fromEntries(new URLSearchParams(location.search)), ...changes };
  go(location.pathname + queryText(query), options);
}

export function useRoute() {
  const [pathname, search] = useValue(address).split(/\?(.*)/s);
  return { ...find(pathname), query: Object.fromEntries(new URLSearchParams(search ?? "")), url: address.now };
}

function find(pathname) {
  const [first, name, tab, ...rest] = pathname.split("/").slice(1).map(decoded);
  const pages = { "": "overview", login: "login", workflows: "workflows" };
  if (name === undefined || name === "") return { page: Object.hasOwn(pages, first) ? pages[first] : "nothing" };
  if (first !== "workflows") return { page: "nothing" };
  if (tab === "instances" && rest.length && rest[0] !== "") return { page: "instance", workflow: name, id: rest.join("/") };
  const tabs = { graph: "graph", versions: "versions" };
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

addEventListener("popstate", () => address.set(location.pathname + location.search));

// Clicks on our own links stay in the page; those with a key, a target or another button are the browser's.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target || link.hash || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (!/^\/($|login$|workflows($|\/))/.test(link.pathname)) return;
  event.preventDefault();
  const changes = link.pathname !== location.pathname;
  go(link.pathname + link.search);
  if (changes) scrollTo(0, 0);
});
