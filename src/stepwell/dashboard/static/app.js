// The page: who looks, the frame round all screens, and which screen it is.
import { html, render, useEffect, useRef, useState } from "./dom.js";
import { get, remove } from "./api.js";
import { clockTime, visible } from "./format.js";
import { Keys } from "./keys.js";
import { later, loadWhenIdle } from "./later.js";
import { isLive, liveState, setLive } from "./live.js";
import { go, useRoute } from "./router.js";
import { beginSession, session } from "./session.js";
import { forget, useValue } from "./store.js";
import { setTheme, themeNow } from "./theming.js";
import { Button, Empty, ErrorBox, Icon, Loading, Menu, SignButton, Toasts, toast, useTitle } from "./ui.js";
import { Instance } from "./views/instance.js";
import { Instances } from "./views/instances.js";
import { Login } from "./views/login.js";
import { Overview } from "./views/overview.js";
import { PHONE, useMedia } from "./views/window.js";
import { Workflows } from "./views/workflows.js";

const PAGES = { overview: Overview, workflows: Workflows, instances: Instances, instance: Instance, nothing: Nothing };
for (const [page, name] of Object.entries({ graph: "WorkflowGraph", source: "Source", versions: "Versions", schedules: "Schedules", limits: "Limits", hosts: "Hosts", jobs: "Jobs", audit: "Audit", facts: "Facts", webhooks: "Webhooks", settings: "Settings", compare: "Compare", about: "About" })) PAGES[page] = later(name);
const NAV = [["/", "Overview"], ["/workflows", "Workflows"], ["/instances", "Instances"], ["/schedules", "Schedules"], ["/jobs", "Jobs"], ["/hosts", "Hosts"], ["/facts", "Server log"], ["/webhooks", "Webhooks", "can_notify"], ["/audit", "Audit", "can_audit"]];
// Some are for those alone who may ask for what they show.
const navOf = () => NAV.filter(([, , right]) => !right || session.now[right]);
const ABOUT = ["/about", "About"];
// So many of them a phone shows; the others are in a menu.
const SHOWN = 3;
const THEMES = { system: ["light", "theme: the system's"], light: ["dark", "theme: light"], dark: ["system", "theme: dark"] };
const LIVE_WORDS = { live: "Live", connecting: "Connecting", polling: "Every 5 s", away: "No answer", off: "Paused" };

function App() {
  const who = useValue(session);
  const [error, setError] = useState(null);
  const route = useRoute();
  const key = `${route.page} ${route.workflow ?? ""} ${route.id ?? ""}`;
  useFocus(key);
  const look = () => get("/ui/session").then(({ result }) => (setError(null), beginSession(result)), setError);
  useEffect(() => void look(), []);
  const isIn = who && (!who.wants_token || who.is_signed_in);
  useEffect(() => void (isIn && loadWhenIdle()), [isIn]);
  if (error) return html`<main><${ErrorBox} error=${error} retry=${look} /></main>`;
  if (!who) return html`<main><${Loading} rows=${3} /></main>`;
  if (!isIn) return html`<${Login} back=${route.page === "login" ? "/" : route.url} />`;
  if (route.page === "login") queueMicrotask(() => go("/", { replace: true }));
  const Page = PAGES[route.page] ?? Nothing;
  return html`<a class="skip" href="#content">Skip to content</a>
    <${Header} route=${route} who=${who} />
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

function Header({ route, who }) {
  const at = route.workflow ? "/workflows" : `/${route.page === "overview" ? "" : route.page}`;
  const isPhone = useMedia(PHONE);
  return html`<header class="bar">
    <a class="brand" href="/"><${Icon} path="M2 13.5V10.5H5.5V7.5H9V4.5H12.5V1.5" /> Stepwell</a>
    <nav aria-label="Main">
      ${navOf().map(([path, word]) => html`<a href=${path} aria-current=${at === path ? "page" : undefined}>${word}</a>`)}
      ${isPhone && html`<${Menu} label="More" isWord items=${[...navOf().slice(SHOWN), ABOUT].map(([path, word]) => ({ word, act: () => go(path) }))} />`}
    </nav>
    <div class="tools">
      <${Live} /><${Theme} />
      <a class="quiet" href="/docs" target="_blank" rel="noopener">API</a>
      <a class="quiet" href=${ABOUT[0]} aria-current=${at === ABOUT[0] ? "page" : undefined}>${ABOUT[1]}</a>
      ${who.wants_token && html`<${Person} who=${who} />`}
    </div></header>`;
}

function Live() {
  const on = useValue(isLive);
  const { name, at } = useValue(liveState);
  const word = LIVE_WORDS[on ? name : "off"] + (on && name === "away" && at ? `, last update ${clockTime(at)}` : "");
  return html`<button type="button" class="live ${on ? name : "off"}" role="switch" aria-checked=${on} aria-label=${`Live updates: ${word}`} title="live updates (p)" onClick=${() => setLive(!on)}><span class="dot"></span>${word}</button>
    <span class="hidden" role="status">${name === "away" ? word : ""}</span>`;
}

function Theme() {
  const theme = useValue(themeNow);
  const [next, label] = THEMES[theme];
  return html`<${SignButton} label=${`${label}; change it`} title=${label} path="M8 2a6 6 0 1 0 .01 0zM8 2v12M9 5h4M9 8h5M9 11h4" onClick=${() => setTheme(next)} />`;
}

function Person({ who }) {
  // Params that were typed here are nobody else's.
  const leave = () => remove("/ui/session").then(({ result }) => (forget("params."), beginSession(result)), (error) => toast(`Not signed out: ${error.message}`, "bad"));
  return html`<span class="who muted">${visible(who.name)}${!who.can_write && ", may read"}</span>
    <${Button} kind="quiet" onClick=${leave}>Sign out<//>`;
}

function Nothing() {
  useTitle("Nothing here");
  return html`<h1>Nothing here</h1><${Empty} title="No page has this address."><p><a href="/workflows">All workflows</a></p><//>`;
}

render(html`<${App} />`, document.getElementById("app"));
