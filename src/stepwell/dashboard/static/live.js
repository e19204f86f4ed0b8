// Changes as they happen: one stream for the whole page, which names topics that have changed; who follows one reads it again.
// Topics: `overview`, `workflow:NAME`, `instance:NAME/ID`, each part percent-encoded.
import { BASE } from "./base.js";
import { useEffect, useRef } from "./dom.js";
import { Value } from "./store.js";

const STALE_MS = 40_000;
const CHECK_MS = 5_000;
// Short, as a browser has six connections to a server in all, and each tab that is looked at holds one.
const HIDDEN_MS = 10_000;
const POLL_MS = 5_000;
const PROBE_MS = 4_000;
const FAILURES = 3;

// "live", "connecting", "polling" (the stream does not come through), "away" (nobody answers) or "off"; and since when nothing
// was heard, where that is told.
export const liveState = new Value({ name: "connecting", at: 0 });
export const isLive = new Value(new URLSearchParams(location.search).get("live") !== "0");
export const workflowTopic = (name) => `workflow:${encodeURIComponent(name)}`;
export const instanceTopic = (workflow, id) => `instance:${encodeURIComponent(workflow)}/${encodeURIComponent(id)}`;

const followers = new Map();
let source = null;
let listened = "";
// What is read from now on is at least as new as this mark of the server's; "": nobody knows. And the one from when the first of
// those began to read who are not listened for yet.
let mark = "";
let since = null;
let failures = 0;
let openedAt = 0;
let lastSign = 0;
let retryTimer = 0;
let pollTimer = 0;
let hiddenTimer = 0;
let settleTimer = 0;
let isAsleep = false;

const show = (name) => liveState.set({ name, at: lastSign });
// Nothing was read before.
export const startFrom = (first) => ([mark, since] = [first, null]);

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

// Keep the switch in an address.
export function withLive(url) {
  const parsed = new URL(url, location.origin);
  if (!isLive.now) parsed.searchParams.set("live", "0");
  else if (parsed.searchParams.has("live")) parsed.searchParams.delete("live");
  return parsed.pathname + parsed.search;
}

export function setLive(on) {
  isLive.set(on);
  // What has changed meanwhile was told to nobody.
  mark = "";
  settle();
}

// Several components come and go in one drawing; the stream is opened once for all of them.
function settle() {
  clearTimeout(settleTimer);
  since ??= mark;
  settleTimer = setTimeout(() => {
    const wanted = isLive.now && !isAsleep ? [...followers.keys()].sort().join(",") : "";
    if (wanted !== listened) connect(wanted, since);
    since = null;
    // What has ended changes no more, so nothing of it can be old.
    if (!wanted && isLive.now) show("live");
    if (!isLive.now) show("off");
  }, 30);
}

function connect(wanted, after) {
  source?.close();
  clearTimeout(retryTimer);
  source = null;
  listened = wanted;
  if (!wanted) {
    // What is wanted next begins anew, also its polling.
    failures = 0;
    return clearInterval(pollTimer);
  }
  if (liveState.now.name === "off") show("connecting");
  const mine = (source = new EventSource(`${BASE}/ui/live?topics=${encodeURIComponent(wanted)}${after && `&after=${after}`}`));
  openedAt = Date.now();
  const on = (kind, act) =>
    mine.addEventListener(kind, (event) => {
      lastSign = Date.now();
      mark = event.lastEventId;
      act?.(event.data);
    });
  on("hello", (data) => {
    failures = 0;
    clearInterval(pollTimer);
    show("live");
    if (data) tellAll();
  });
  on("alive");
  on("changed", (data) => isLive.now && JSON.parse(data).forEach(tell));
  mine.addEventListener("bye", () => again(mine));
  mine.addEventListener("error", () => again(mine));
}

function again(mine) {
  if (mine !== source) return;
  mine.close();
  source = null;
  // What was read since may have failed.
  mark = "";
  failures += 1;
  look();
  if (failures === FAILURES) pollTimer = setInterval(() => look().then((answers) => answers && tellAll()), POLL_MS);
  const wait = Math.min(30_000, 500 * 2 ** failures) * (0.5 + Math.random());
  retryTimer = setTimeout(() => connect(listened, mark), wait);
}

// Whether there is a server at all, and what that means for the switch.
async function look() {
  const wasAway = liveState.now.name === "away";
  const answers = await fetch(`${BASE}/healthz`, { cache: "no-store", signal: AbortSignal.timeout(PROBE_MS) }).then((response) => response.ok, () => false);
  if (failures === 0 || !isLive.now) return answers;
  if (answers) lastSign = Date.now();
  show(!answers ? "away" : failures < FAILURES ? "connecting" : "polling");
  // It is back: nobody need wait for the next try.
  if (answers && wasAway && !source) connect(listened, mark);
  return answers;
}

function tell(topic) {
  for (const call of [...(followers.get(topic) ?? [])]) call();
}

function tellAll() {
  for (const topic of [...followers.keys()]) tell(topic);
}

setInterval(() => source && Date.now() - Math.max(openedAt, lastSign) > STALE_MS && again(source), CHECK_MS);

// A tab that nobody looks at lets go of its stream after a while, and catches up when it is looked at.
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  const sleep = (on) => ((isAsleep = on), settle());
  if (document.hidden) hiddenTimer = setTimeout(sleep, HIDDEN_MS, true);
  else if (isAsleep) sleep(false);
});

// A page that follows nothing is never old.
settle();
