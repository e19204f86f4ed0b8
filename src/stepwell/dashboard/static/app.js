// The page: who looks, the frame round all screens, and which screen it is.
import { html, render, useEffect, useRef, useState } from "./dom.js";
import { get, remove } from "./api.js";
import { visible } from "./format.js";
import { Keys } from "./keys.js";
import { isLive, liveState, setLive } from "./live.js";
import { go, useRoute } from "./router.js";
import { session } from "./session.js";
import { forget, useValue } from "./store.js";
import { setTheme, themeNow } from "./theming.js";
import { Button, Empty, ErrorBox, Icon, Loading, Toasts, toast, useTitle } from "./ui.js";
import { Graph } from "./views/graph_tab.js";
import { Instance } from "./views/instance.js";
import { Instances } from "./views/instances.js";
import { Login } from "./views/login.js";
import { Overview } from "./views/overview.js";
import { Versions } from "./views/versions.js";
import { Workflows } from "./views/workflows.js";

const PAGES = { overview: Overview, workflows: Workflows, instances: Instances, instance: Instance, graph: Graph, versions: Versions, nothing: Nothing };
const THEMES = { system: ["light", "theme: the system's"], light: ["dark", "theme: light"], dark: ["system", "theme: dark"] };
const LIVE_WORDS = { live: "Live", connecting: "Connecting", polling: "Every 5 s", off: "Paused" };

function App() {
  const who = useValue(session);
  const [error, setError] = useState(null);
  const route = useRoute();
  const key = `${route.page} ${route.workflow ?? ""} ${route.id ?? ""}`;
  useFocus(key);
  const look = () => get("/ui/session").then(({ result }) => (setError(null), session.set(result)), setError);
  useEffect(() => void look(), []);
  if (error) return html`<main><${ErrorBox} error=${error} retry=${look} /></main>`;
  if (!who) return html`<main><${Loading} rows=${3} /></main>`;
  if (who.wants_token && !who.is_signed_in) return html`<${Login} back=${route.page === "login" ? "/" : route.url} />`;
  if (route.page === "login") queueMicrotask(() => go("/", { replace: true }));
  const Page = PAGES[route.page] ?? Nothing;
  return html`<a class="skip" href="#content">Skip to content</a>
    <${Header} page=${route.page} who=${who} />
    <main id="content" tabindex="-1"><${Page} key=${key} workflow=${route.workflow} id=${route.id} query=${route.query} /></main>
    <${Toasts} /><${Keys} />`;
}

// On another page the keyboard and the reader of the screen begin at its content.
function useFocus(key) {
  const last = useRef(key);
  useEffect(() => {
    if (last.current !== key) document.getElementById("content")?.focus({ preventScroll: true });
    last.current = key;
  }, [key]);
}

function Header({ page, who }) {
  return html`<header class="bar">
    <a class="brand" href="/"><${Icon} path="M2 13.5V10.5H5.5V7.5H9V4.5H12.5V1.5" /> Stepwell</a>
    <nav aria-label="Main">
      <a href="/" aria-current=${page === "overview" ? "page" : undefined}>Overview</a>
      <a href="/workflows" aria-current=${page === "overview" ? undefined : "page"}>Workflows</a>
    </nav>
    <div class="tools">
      <${Live} /><${Theme} />
      <a class="quiet" href="/docs" target="_blank" rel="noopener">API</a>
      ${who.wants_token && html`<${Person} who=${who} />`}
    </div></header>`;
}

function Live() {
  const on = useValue(isLive);
  const state = useValue(liveState);
  const word = on ? LIVE_WORDS[state] : LIVE_WORDS.off;
  return html`<button type="button" class="live ${on ? state : "off"}" role="switch" aria-checked=${on} aria-label=${`Live updates: ${word}`} title="live updates (p)" onClick=${() => setLive(!on)}><span class="dot"></span>${word}</button>`;
}

function Theme() {
  const theme = useValue(themeNow);
  const [next, label] = THEMES[theme];
  const sign = { system: "M8 2a6 6 0 1 0 .01 0zM8 2v12", light: "M8 5a3 3 0 1 0 .01 0zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1", dark: "M13.5 9.5A6 6 0 1 1 6.5 2.5 5 5 0 0 0 13.5 9.5z" };
  return html`<button type="button" class="copy" aria-label=${`${label}; change it`} title=${label} onClick=${() => setTheme(next)}><${Icon} path=${sign[theme]} /></button>`;
}

function Person({ who }) {
  // Params that were typed here are nobody else's.
  const leave = () => remove("/ui/session").then(({ result }) => (forget("params."), session.set(result)), (error) => toast(`Not signed out: ${error.message}`, "bad"));
  return html`<span class="who muted">${visible(who.name)}${!who.can_write && ", may read"}</span>
    <${Button} kind="quiet" onClick=${leave}>Sign out<//>`;
}

function Nothing() {
  useTitle("Nothing here");
  return html`<h1>Nothing here</h1><${Empty} title="No page has this address."><p><a href="/workflows">All workflows</a></p><//>`;
}

render(html`<${App} />`, document.getElementById("app"));
