// What is done to instances of a list: to one by its menu, to those that are ticked, or to all that match. One request for each,
// some at a time, with progress and what was refused; all that match are a job of the server's, but for events.
import { html, useEffect, useRef, useState } from "../dom.js";
import { get, instancePath, onceKey, patch, post, remove } from "../api.js";
import { count, plural, visible } from "../format.js";
import { later } from "../later.js";
import { compareUrl, go } from "../router.js";
import { Button, ErrorBox, FINAL, Menu, toast } from "../ui.js";
import { PHONE, useMedia } from "./window.js";

const AT_ONCE = 4;
const PER_PAGE = 100;
// So many failures are shown.
const SHOWN = 20;
const Ask = later("Ask");
const AskEvent = later("AskEvent");
export const pathOf = (row, ...rest) => instancePath(row.workflow_name, row.id, ...rest);
const change = (status) => (row) => patch(pathOf(row, "status"), { body: { status } });
const isOpen = (row) => !FINAL.has(row.status);

// Which instances an action fits, what it asks, and what undoes it. `confirm` says what cannot be undone.
const ACTIONS = [
  { verb: "Pause", done: "told to pause", act: change("pause"), fits: (row) => ["queued", "running", "waiting"].includes(row.status), undo: "Resume" },
  { verb: "Resume", done: "told to resume", act: change("resume"), fits: (row) => ["paused", "waitingForPause"].includes(row.status), undo: "Pause" },
  { verb: "Send event", done: "sent the event", fits: isOpen },
  { verb: "Restart", done: "restarted", act: change("restart"), fits: () => true, confirm: "What has been done is forgotten, and all begins again with the newest version." },
  { verb: "Terminate", kind: "danger", done: "terminated", act: change("terminate"), fits: isOpen, confirm: "It ends at once; steps in flight are interrupted." },
  { verb: "Delete", kind: "danger", done: "deleted", act: (row) => remove(pathOf(row)), fits: () => true, confirm: "Histories, params and outputs are gone for good." },
];

export const actionOf = (word) => ACTIONS.find(({ verb }) => verb.toLowerCase() === word);
export const jobPath = (...parts) => ["/stepwell/jobs", ...parts.map(encodeURIComponent)].join("/");
export const actionsFor = (row) => ACTIONS.filter((action) => action.fits(row));

// How things are done to instances: `start(action, chosen)`, what is to be drawn meanwhile and afterwards, and how often all went
// well. `chosen` is { rows }, or { asked, workflow, all, typed, words }: by what query, how many match if that is known, what has to be
// typed, and in words.
export function useBulk(reload) {
  const [asked, setAsked] = useState(null);
  const [progress, setProgress] = useState(null);
  const [failures, setFailures] = useState([]);
  const [successes, setSuccesses] = useState(0);
  const stop = useRef(false);
  // Where nobody sees it, nobody could stop it either.
  useEffect(() => () => void (stop.current = true), []);

  const run = async (action, chosen, act = action.act) => {
    stop.current = false;
    setFailures([]);
    if (chosen.asked && action.act) {
      const body = { action: action.verb.toLowerCase(), workflow_name: chosen.workflow ?? null, filter: filterOf(chosen.asked({})) };
      await post(jobPath(), { body, headers: { "idempotency-key": chosen.key } });
      return go("/jobs");
    }
    const rows = chosen.rows ? chosen.rows.filter(action.fits) : matching(chosen.asked, action.fits);
    const { done, failed } = await each(rows, chosen.asked ? chosen.all : rows.length, act, setProgress, stop);
    setProgress(null);
    setFailures(failed);
    reload();
    if (!failed.length) setSuccesses((old) => old + 1);
    const undone = action.undo && { ...ACTIONS.find(({ verb }) => verb === action.undo), fits: () => true, undo: null };
    if (done.length) toast(`${plural(done.length, "instance")} ${action.done}`, "good", undone && { name: "Undo", run: () => run(undone, { rows: done }) });
  };

  // What is sent again from one dialog is done once.
  const start = (action, chosen) => (action.confirm || !action.act || chosen.asked ? setAsked({ action, chosen: { ...chosen, key: onceKey() } }) : run(action, chosen));
  const Asked = asked && !asked.action.act ? AskEvent : Ask;
  const drawn = html`${progress && html`<div class="bulk" role="region" aria-label="Progress"><progress value=${progress.all === undefined ? undefined : progress.done} max=${progress.all} aria-label="progress"></progress><span class="num">${count(progress.done)}${progress.all !== undefined && ` of ${count(progress.all)}`}${progress.failed > 0 && html`, <span class="bad">${count(progress.failed)} failed</span>`}</span><${Button} onClick=${() => (stop.current = true)}>Stop<//></div>`}
    ${failures.slice(0, SHOWN).map(({ id, error }, at) => html`<${ErrorBox} key=${at} error=${{ ...error, message: `${visible(id)}: ${error.message}` }} />`)}
    ${failures.length > SHOWN && html`<p class="bad">and ${plural(failures.length - SHOWN, "more failure")}</p>`}
    ${asked && html`<${Asked} ...${asked} close=${() => setAsked(null)} run=${run} />`}`;
  return { start, drawn, successes, isBusy: progress !== null };
}

// The bar under a list in which something is ticked. `all` is null, or how many match and are not on this page.
export function Bulk({ rows, all, setAll, clear, bulk }) {
  const isPhone = useMedia(PHONE);
  const chosen = all?.isChosen ? all : { rows };
  const every = all && `all ${all.all === undefined ? "" : `${count(all.all)} `}that match`;
  const said = all?.isChosen ? every : plural(rows.length, "ticked", "ticked");
  const items = ACTIONS.flatMap((action) => {
    const many = all?.isChosen ? rows.length : rows.filter(action.fits).length;
    return many ? { word: action.verb + (many < rows.length ? ` ${many}` : ""), kind: action.kind, act: () => bulk.start(action, chosen) } : [];
  });
  // The one that came first is A.
  const [a, b] = [...rows].reverse().sort((one, other) => one.created_on.localeCompare(other.created_on));
  if (rows.length === 2 && a.workflow_name === b.workflow_name && !all?.isChosen) items.unshift({ word: "Compare", act: () => go(compareUrl(a.workflow_name, a.id, b.id)) });
  return !bulk.isBusy && html`<div class="bulk" role="region" aria-label="Ticked instances"><b>${said}</b>
    ${all && !all.isChosen && html`<${Button} kind="quiet" onClick=${setAll}>Select ${every}<//>`}
    ${isPhone ? html`<${Menu} label="Actions" isWord items=${items} />` : items.map(({ word, kind = "", act }) => html`<${Button} key=${word} kind=${kind} onClick=${act}>${word}<//>`)}
    <${Button} kind="quiet" onClick=${clear}>Clear<//></div>`;
}

// A search as a job takes it.
function filterOf(asked) {
  const search = new URLSearchParams(asked.split("?")[1]);
  ["per_page", "cursor", "direction"].forEach((name) => search.delete(name));
  return Object.fromEntries([...search.keys()].map((name) => [name, ["status", "label"].includes(name) ? search.getAll(name) : search.get(name)]));
}

// All that match, page by page from the newest on: what is created meanwhile is not among them.
async function* matching(asked, fits) {
  for (let cursor = ""; ; ) {
    const { result, info } = await get(asked({ per_page: PER_PAGE, direction: "", cursor }));
    yield* result.filter(fits);
    cursor = info.cursor;
    if (!cursor) return;
  }
}

async function each(rows, all, act, tell, stop) {
  const done = [];
  const failed = [];
  const told = () => tell({ done: done.length + failed.length, failed: failed.length, all });
  const left = rows[Symbol.asyncIterator]?.() ?? rows[Symbol.iterator]();
  const work = async () => {
    while (!stop.current) {
      let row = null;
      try {
        const next = await left.next();
        if (next.done) return;
        row = next.value;
        await act(row);
        done.push(row);
      } catch (error) {
        failed.push({ id: row?.id ?? "the list", error });
        if (!row) return;
      }
      told();
    }
  };
  told();
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { done, failed };
}
