// What is done to several instances: one request for each, some at a time, with progress and what was refused.
import { html, useRef, useState } from "../dom.js";
import { instancePath, patch, remove } from "../api.js";
import { plural, visible } from "../format.js";
import { Button, Confirm, ErrorBox, FINAL, toast } from "../ui.js";

const AT_ONCE = 4;
const change = (status) => (workflow, id) => patch(instancePath(workflow, id, "status"), { body: { status } });

// Which instances an action fits, what it asks, and what undoes it. `confirm` says what cannot be undone.
const ACTIONS = [
  { verb: "Pause", done: "told to pause", act: change("pause"), fits: (row) => ["queued", "running", "waiting"].includes(row.status), undo: "resume" },
  { verb: "Resume", done: "told to resume", act: change("resume"), fits: (row) => ["paused", "waitingForPause"].includes(row.status), undo: "pause" },
  { verb: "Restart", done: "restarted", act: change("restart"), fits: () => true, confirm: "What they have done is forgotten, and they begin again with the newest version." },
  { verb: "Terminate", kind: "danger", done: "terminated", act: change("terminate"), fits: (row) => !FINAL.has(row.status), confirm: "They end at once; steps in flight are interrupted." },
  { verb: "Delete", kind: "danger", done: "deleted", act: (workflow, id) => remove(instancePath(workflow, id)), fits: () => true, confirm: "Their histories, params and outputs are gone for good." },
];

export function Bulk({ workflow, rows, clear, reload }) {
  const [asked, setAsked] = useState(null);
  const [progress, setProgress] = useState(null);
  const [failures, setFailures] = useState([]);
  const stop = useRef(false);

  const run = async (action, chosen) => {
    stop.current = false;
    setFailures([]);
    const ids = chosen.filter(action.fits).map((row) => row.id);
    const { done, failed } = await each(ids, (id) => action.act(workflow, id), setProgress, stop);
    setProgress(null);
    setFailures(failed);
    reload();
    if (!failed.length) clear();
    const undo = action.undo && done.length && { name: "Undo", run: () => each(done, (id) => change(action.undo)(workflow, id), () => {}, { current: false }).then(reload) };
    if (done.length) toast(`${plural(done.length, "instance")} ${action.done}`, "good", undo || null);
  };

  const start = (action) => (action.confirm ? setAsked({ action, rows }) : run(action, rows));
  return html`<div class="bulk" role="region" aria-label="Ticked instances"><b>${plural(rows.length, "ticked", "ticked")}</b>
    ${progress
      ? html`<progress value=${progress.done} max=${progress.all} aria-label="progress"></progress><span class="num">${progress.done} of ${progress.all}</span><${Button} onClick=${() => (stop.current = true)}>Stop<//>`
      : html`${ACTIONS.map((action) => {
          const many = rows.filter(action.fits).length;
          return many > 0 && html`<${Button} key=${action.verb} kind=${action.kind ?? ""} onClick=${() => start(action)}>${action.verb}${many < rows.length ? ` ${many}` : ""}<//>`;
        })}<${Button} kind="quiet" onClick=${clear}>Clear<//>`}</div>
    ${failures.map(({ id, error }) => html`<${ErrorBox} key=${id} error=${{ ...error, message: `${visible(id)}: ${error.message}` }} />`)}
    ${asked && html`<${Ask} ...${asked} onClose=${() => setAsked(null)} run=${run} />`}`;
}

function Ask({ action, rows, onClose, run }) {
  const fitting = rows.filter(action.fits);
  const some = fitting.slice(0, 5).map((row) => visible(row.id)).join(", ");
  return html`<${Confirm} title=${`${action.verb} ${plural(fitting.length, "instance")}?`} verb=${action.verb} onClose=${onClose} act=${async () => void run(action, rows)}>
    <p>${action.confirm}</p><p class="mono">${some}${fitting.length > 5 && ` and ${fitting.length - 5} more`}</p><//>`;
}

async function each(ids, act, tell, stop) {
  const done = [];
  const failed = [];
  const left = [...ids];
  const work = async () => {
    while (left.length && !stop.current) {
      const id = left.shift();
      try {
        await act(id);
        done.push(id);
      } catch (error) {
        failed.push({ id, error });
      }
      tell({ done: done.length + failed.length, all: ids.length });
    }
  };
  tell({ done: 0, all: ids.length });
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { done, failed };
}
