// What creates instances, and when: the schedules of a workflow, or of all.
import { html } from "../dom.js";
import { patch, post, useRead } from "../api.js";
import { count, exact, visible } from "../format.js";
import { workflowTopic } from "../live.js";
import { go, instanceUrl, workflowUrl } from "../router.js";
import { session } from "../session.js";
import { Button, Empty, ErrorBox, Loaded, Pager, StatusBadge, Table, Time, toast, useAction, usePages, useTitle } from "../ui.js";
import { MINUTE_MS, SCHEDULES, cronColumn, keyOfSchedule, workflowColumn } from "./next.js";
import { WorkflowHead } from "./workflow_head.js";

export function Schedules({ workflow, query }) {
  useTitle("Schedules", ...(workflow ? [workflow] : []));
  const { page, read } = usePages(SCHEDULES, { workflow }, query, { topics: [workflow ? workflowTopic(workflow) : "overview"], every: MINUTE_MS });
  const url = workflow ? workflowUrl(workflow, "schedules") : "/schedules";
  return html`${workflow ? html`<${WorkflowHead} workflow=${workflow} tab="schedules" />` : html`<h1>Schedules</h1>`}
    <${Loaded} read=${read}>${(rows, info) => (rows.length ? html`<${ScheduleTable} rows=${rows} workflow=${workflow} reload=${read.reload} /><${Pager} page=${page} info=${info} url=${url} />` : html`<${Empty} title="No schedule"><p>A workflow gets them from the wrangler file, or from its class: <code>schedules = "0 9 * * MON-FRI"</code></p><//>`)}<//>`;
}


function ScheduleTable({ rows, workflow, reload }) {
  const columns = [
    cronColumn,
    !workflow && workflowColumn,
    { name: "next", cell: (row) => html`<${Next} row=${row} />` },
    { name: "last", kind: "named", cell: ({ last, workflow_name: name }) => (last ? html`<${StatusBadge} status=${last.status} /> <a href=${instanceUrl(name, last.id)}>${exact(last.scheduled_on)}</a>` : html`<span class="muted">none</span>`) },
    { name: "overlap", kind: "named", cell: (row) => html`${row.overlap}${row.skipped > 0 && html`<small>${count(row.skipped)} left out, last <${Time} at=${row.skipped_on} /></small>`}` },
    session.now.can_write && { name: "actions", kind: "tight", head: html`<span class="hidden">actions</span>`, cell: (row) => html`<${Acts} row=${row} reload=${reload} />` },
  ];
  return html`<${Table} columns=${columns} rows=${rows} keyOf=${keyOfSchedule} label="Schedules" />`;
}

function Next({ row }) {
  if (row.paused_on) return html`<${StatusBadge} status="paused" /> <${Time} at=${row.paused_on} />`;
  if (!row.next.length) return html`<span class="muted">never</span>`;
  return html`<details><summary><${Time} at=${row.next[0]} /></summary><ul class="moments">${row.next.map((at) => html`<li>${exact(at)} <small>${at.slice(0, 16).replace("T", " ")} UTC</small></li>`)}</ul></details>`;
}

function Acts({ row, reload }) {
  const path = `${SCHEDULES}/${encodeURIComponent(row.workflow_name)}/${encodeURIComponent(row.cron)}`;
  const change = useAction(() => patch(path, { body: { paused: !row.paused_on } }), reload);
  const run = useAction(() => post(`${path}/run`), ({ result }) => {
    toast(`${result.id} created`, "good", { name: "Open", run: () => go(instanceUrl(row.workflow_name, result.id)) });
    reload();
  });
  const error = change.error ?? run.error;
  const of = `: ${visible(row.cron)}`;
  return html`<div class="row-of"><${Button} busy=${change.busy} onClick=${() => change.run()} aria-label=${(row.paused_on ? "Resume" : "Pause") + of}>${row.paused_on ? "Resume" : "Pause"}<//>
    <${Button} busy=${run.busy} onClick=${() => run.run()} aria-label=${"Run now" + of}>Run now<//></div>${error && html`<${ErrorBox} error=${error} />`}`;
}
