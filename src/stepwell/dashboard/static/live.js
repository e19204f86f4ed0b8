// Changes as they happen: one stream for the whole page, which names topics that have changed; who follows one reads it again.
// Topics: `overview`, `workflow:NAME`, `instance:NAME/ID`, each part percent-encoded.
import { useEffect, useRef } from "./dom.js";
import { Value } from "./store.js";

const STALE_MS = 40_000;
// Short, as a browser has six connections to a server in all, and each tab that is looked at holds one.
const HIDDEN_MS = 10_000;
const POLL_MS = 5_000;
const FAILURES = 3;

// "live", "connecting", "polling" (the stream does not come through) or "off".
export const liveState = new Value("connecting");
export const isLive = new Value(new URLSearchParams(location.search).get("live") !== "0");
export const workflowTopic = (name) => `workflow:${encodeURIComponent(name)}`;
export const instanceTopic = (workflow, id) => `instance:${encodeURIComponent(workflow)}/${encodeURIComponent(id)}`;

const followers = new Map();
let source = null;
let open = "";
let failures = 0;
let lastSign = 0;
let retryTimer = 0;
let pollTimer = 0;
let hiddenTimer = 0;
let settleTimer = 0;
let isAsleep = false;

export function useLive(topics, told) {
  const latest = useRef(told);
  latest.current = told;
  const key = topics.join(" ");
  useEffect(() => {
    if (!key) return;
    const call = () => latest.current();
    const mine = key.split(" ");
    for (const topic of mine) (followers.get(topic) ?? followers.set(topic, new Set()).get(topic)).add(call);
    settle();
    return () => {
      for (const topic of mine) {
        followers.get(topic)?.delete(call);
        if (!followers.get(topic)?.size) followers.delete(topic);
      }
      settle();
    };
  }, [key]);
}

export function setLive(on) {
  isLive.set(on);
  const url = new URL(location.href);
  on ? url.searchParams.delete("live") : url.searchParams.set("live", "0");
  history.replaceState(null, "", url);
  failures = 0;
  if (on) tellAll();
  settle();
}

// Several components come and go in one drawing; the stream is opened once for all of them.
function settle() {
  clearTimeout(settleTimer);
  settleTimer = setTimeout(() => {
    const wanted = isLive.now && !isAsleep ? [...followers.keys()].sort().join(",") : "";
    if (wanted !== open) connect(wanted);
    // What has ended changes no more, so nothing of it can be old.
    if (!wanted && isLive.now) liveState.set("live");
    if (!isLive.now) liveState.set("off");
  }, 30);
}

function connect(wanted) {
  source?.close();
  clearTimeout(retryTimer);
  source = null;
  open = wanted;
  if (!wanted) {
    // What is wanted next begins anew, also its polling.
    failures = 0;
    return clearInterval(pollTimer);
  }
  if (liveState.now === "off") liveState.set("connecting");
  const mine = (source = new EventSource(`/ui/live?topics=${encodeURIComponent(wanted)}`));
  lastSign = Date.now();
  mine.addEventListener("hello", () => {
    lastSign = Date.now();
    failures = 0;
    // What changed before, or while nobody listened, was told to nobody.
    tellAll();
    clearInterval(pollTimer);
    liveState.set("live");
  });
  mine.addEventListener("alive", () => (lastSign = Date.now()));
  mine.addEventListener("changed", (event) => {
    lastSign = Date.now();
    if (isLive.now) for (const topic of JSON.parse(event.data)) tell(topic);
  });
  mine.addEventListener("bye", () => again(mine));
  mine.addEventListener("error", () => again(mine));
}

function again(mine) {
  if (mine !== source) return;
  mine.close();
  source = null;
  failures += 1;
  liveState.set(failures >= FAILURES ? "polling" : "connecting");
  if (failures === FAILURES) pollTimer = setInterval(tellAll, POLL_MS);
  const wait = Math.min(30_000, 500 * 2 ** failures) * (0.5 + Math.random());
  retryTimer = setTimeout(() => connect(open), wait);
}

function tell(topic) {
  for (const call of [...(followers.get(topic) ?? [])]) call();
}

function tellAll() {
  for (const topic of [...followers.keys()]) tell(topic);
}

setInterval(() => {
  if (source && Date.now() - lastSign > STALE_MS) again(source);
}, 5_000);

// A tab that nobody looks at lets go of its stream after a while, and catches up when it is looked at.
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (document.hidden) {
    hiddenTimer = setTimeout(() => {
      isAsleep = true;
      settle();
    }, HIDDEN_MS);
  } else if (isAsleep) {
    isAsleep = false;
    tellAll();
    settle();
  }
});
