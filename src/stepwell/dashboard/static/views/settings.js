// What a workflow is set to: what its code, the wrangler file or the API have declared, and what holds where nobody has.
import { html } from "../dom.js";
import { get, getText, ownPath, patch, useRead, workflowPath } from "../api.js";
import { count, duration, exact, plural, visible } from "../format.js";
import { workflowTopic } from "../live.js";
import { queryText, workflowUrl } from "../router.js";
import { session } from "../session.js";
import { Copy, ErrorBox, Loaded, StatusBadge, Table, Time, useAction, useTitle } from "../ui.js";
import { declaredLimits } from "./limits.js";
import { SCHEDULES, cronColumn, keyOfSchedule } from "./next.js";
import { memberText } from "./raw.js";
import { JsonView } from "./value.js";
import { WorkflowHead } from "./workflow_head.js";

const MOST_SCHEDULES = 50;
const TYPED = "class Order(WorkflowEntrypoint[OrderParams])";
// What becomes of a firing while an instance of the schedule has not ended.
const OVERLAPS = { allow: "allow another instance", skip: "skip the firing", cancel: "cancel the earlier one" };

export function Settings({ workflow }) {
  useTitle("Settings", workflow);
  const read = useRead(workflowPath(workflow), { topics: [workflowTopic(workflow)], read: (path, options) => readAll(path, workflow, options) });
  return html`<${WorkflowHead} workflow=${workflow} tab="settings" /><${Loaded} read=${read}>${(found) => html`<${Declared} workflow=${workflow} found=${found} reload=${read.reload} />`}<//>`;
}

// All of it together: a part of it alone would say that nothing else is set.
async function readAll(path, workflow, options) {
  const [facts, versions, limits, account, schedules] = await Promise.all(
    [path, workflowPath(workflow, "versions") + "?per_page=1", ownPath(workflow, "limits"), "/workflows/settings", SCHEDULES + queryText({ workflow, per_page: MOST_SCHEDULES })].map((one) => get(one, options)),
  );
  const [newest] = versions.result;
  const text = newest && (await getText(ownPath(workflow, "versions", newest.id), options));
  const made = text && { ...JSON.parse(text).result, schema: memberText(text, ["result", "params_schema"]) };
  return { facts: facts.result, version: newest, made, versions: versions.info.total_count, limits: limits.result, account: account.result.default_retention, schedules: schedules.result, scheduled: schedules.info.total_count };
}

const Facts = ({ rows }) => html`<dl class="facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

function Declared({ workflow, found, reload }) {
  const { facts, version, made, versions, limits, account, schedules, scheduled } = found;
  const tab = (name, words) => html`<a href=${workflowUrl(workflow, name)}>${words}</a>`;
  const kept = (kind) => {
    const own = version?.default_retention?.[kind];
    return html`${duration(own ?? account[kind])}<small>${own === undefined ? "of the account, or the server" : "of the workflow"}</small>`;
  };
  const none = (words, where) => html`${words}<small>${where}</small>`;
  const code = [
    ["class", html`<span class="mono">${visible(facts.class_name)}</span>`],
    ["script", html`<span class="mono">${visible(facts.script_name)}</span>`],
    version && ["newest version", html`<span class="mono">${version.id}</span><${Copy} text=${version.id} what="copy the id of the version" />`],
    version && ["since", html`<${Time} at=${version.created_on} /><small>${exact(version.created_on)}</small>`],
    made && ["hash of the code", html`<span class="mono" title=${made.sha256}>${made.sha256.slice(0, 12)}</span><${Copy} text=${made.sha256} what="copy the SHA-256" />`],
    made && ["snapshot", made.snapshot === null ? none("none", "stepwell dev runs the files as they are") : html`number ${count(made.snapshot)}<small>${visible(made.source)}, first with Python ${visible(made.python)}</small>`],
    version && ["source", tab("source", "read it")],
    ["versions", versions ? tab("versions", count(versions)) : "none yet"],
    ["workflow since", html`<${Time} at=${facts.created_on} /><small>${exact(facts.created_on)}</small>`],
  ];
  const most = [
    ["steps of an instance", version?.limits ? `at most ${count(version.limits.steps)}` : none("not declared", "the server's setting steps_per_instance holds")],
    ["instances that run", limits.concurrency === null ? none("not limited", "as many as workers can hold") : `at most ${count(limits.concurrency)}`],
    ...declaredLimits(limits).map(([name, value]) => [name, visible(value)]),
  ];
  return html`<div class="settings"><p class="muted">What the code, the wrangler file or the API declare, in the newest version, which new instances get.</p>
    <h2>Code</h2><${Facts} rows=${code.filter(Boolean)} />
    ${made && html`<h2>Params</h2>${made.params_schema === null ? html`<p>Any JSON. Where the class names a type, new instances are held to it: <code class="mono">${TYPED}</code></p>` : html`<p class="muted">What params of new instances have to be, as JSON Schema.</p><${JsonView} text=${made.schema} name="schema of the params" />`}`}
    <h2>Limits</h2><${Facts} rows=${most} /><p>${tab("limits", "Who runs and who waits")}</p>
    <h2>Kept after the end</h2><${Facts} rows=${[["complete", kept("success_retention")], ["errored, terminated", kept("error_retention")]]} />
    <h2>Schedules</h2>${schedules.length ? html`<${Fired} rows=${schedules} reload=${reload} />` : html`<p>None. A workflow gets them from the wrangler file, or from its class: <code>schedules = "0 9 * * MON-FRI"</code></p>`}
    ${schedules.length > 0 && html`<p>${scheduled > schedules.length && `The first ${count(schedules.length)} of ${plural(scheduled, "schedule")}. `}${tab("schedules", session.now.can_write ? "Pause, resume and run them" : "When they fire next")}</p>`}</div>`;
}

function Fired({ rows, reload }) {
  const columns = [
    cronColumn,
    { name: "state", kind: "tight", cell: (row) => html`<${StatusBadge} status=${row.paused_on ? "paused" : "running"} word=${row.paused_on ? "paused" : "fires"} />` },
    { name: "overlap", kind: "named", cell: (row) => (session.now.can_write ? html`<${OverlapChoice} row=${row} reload=${reload} />` : OVERLAPS[row.overlap]) },
  ];
  return html`<${Table} columns=${columns} rows=${rows} keyOf=${keyOfSchedule} label="Schedules" />`;
}

function OverlapChoice({ row, reload }) {
  const path = `${SCHEDULES}/${encodeURIComponent(row.workflow_name)}/${encodeURIComponent(row.cron)}`;
  const { run, busy, error } = useAction((overlap) => patch(path, { body: { overlap } }), reload);
  return html`<select aria-label=${`while an instance of ${visible(row.cron)} has not ended`} value=${row.overlap} disabled=${busy} onChange=${(event) => run(event.target.value)}>${Object.entries(OVERLAPS).map(([key, words]) => html`<option value=${key} selected=${key === row.overlap}>${words}</option>`)}</select>${error && html`<${ErrorBox} error=${error} />`}`;
}
