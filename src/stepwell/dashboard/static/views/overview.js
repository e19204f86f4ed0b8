// What goes on: how many instances are how, what failed lately, what came last.
import { html } from "../dom.js";
import { get, instancePath, useRead, workflowPath } from "../api.js";
import { count, visible } from "../format.js";
import { instanceUrl, workflowUrl } from "../router.js";
import { session } from "../session.js";
import { Copy, Duration, Empty, Icon, Loaded, STATUSES, StatusBadge, Table, Time, useTitle } from "../ui.js";

// So many workflows are asked for their instances.
const ASKED = 8;
const SHOWN = 10;
const EXAMPLE = `class Hello(WorkflowEntrypoint):\n    async def run(self, event, step):\n        return await step.do("greet", greet)`;
const NUMBERS = [["running", ["running", "rollingBack"]], ["queued", ["queued"]], ["waiting", ["waiting"]], ["paused", ["paused", "waitingForPause"]], ["errored", ["errored"]], ["complete", ["complete"]]];

export function Overview() {
  useTitle("Overview");
  const read = useRead("overview", { topics: ["overview"], read: readAll });
  return html`<h1>Overview</h1><${Loaded} read=${read}>${(found) => html`<${Seen} ...${found} />`}<//>`;
}

async function readAll(_, options) {
  const { result: workflows } = await get("/workflows?per_page=100", options);
  const latest = (chosen, query) => Promise.all(chosen.slice(0, ASKED).map((one) => instancesOf(one.name, query, options)));
  const [errored, recent] = await Promise.all([
    latest(workflows.filter((one) => one.instances.errored), "status=errored&per_page=5"),
    latest(workflows.filter((one) => one.triggered_on).sort((a, b) => b.triggered_on.localeCompare(a.triggered_on)), `per_page=${SHOWN}`),
  ]);
  return { result: { workflows, errored: newest(errored, "ended_on", 5), recent: newest(recent, "created_on", SHOWN) } };
}

async function instancesOf(workflow, query, options) {
  const { result } = await get(`${workflowPath(workflow, "instances")}?${query}`, options);
  return result.map((one) => ({ ...one, workflow }));
}

const newest = (lists, by, many) => lists.flat().sort((a, b) => (b[by] ?? "").localeCompare(a[by] ?? "")).slice(0, many);

function Seen({ workflows, errored, recent }) {
  if (!workflows.length) return html`<${None} />`;
  const sum = (statuses) => workflows.reduce((all, one) => all + statuses.reduce((some, status) => some + (one.instances[status] ?? 0), 0), 0);
  return html`<ul class="numbers">${NUMBERS.map(([word, statuses]) => html`<li class="s-${word}"><b>${count(sum(statuses))}</b><span><${Icon} path=${STATUSES[word][1]} /> ${word}</span></li>`)}</ul>
    ${errored.length > 0 && html`<h2>Failed lately</h2><${Instances} rows=${errored} label="Failed lately" />`}
    <h2>Latest instances</h2>
    ${recent.length ? html`<${Instances} rows=${recent} label="Latest instances" />` : html`<${Empty} title="Nothing has run yet"><p>${session.now.can_write ? "Create an instance of one of the workflows:" : "Instances of these workflows are shown here:"}</p><p class="row-of">${workflows.slice(0, 10).map((one) => html`<a class="button" href=${workflowUrl(one.name) + (session.now.can_write ? "?create=1" : "")}>${visible(one.name)}</a>`)}</p><//>`}`;
}

function Instances({ rows, label }) {
  const columns = [
    { name: "status", kind: "tight", cell: (row) => html`<${StatusBadge} status=${row.status} />` },
    { name: "instance", kind: "main", cell: (row) => html`<a class="row mono" href=${instanceUrl(row.workflow, row.id)}>${visible(row.id)}</a>` },
    { name: "workflow", kind: "named", cell: (row) => html`<a href=${workflowUrl(row.workflow)}>${visible(row.workflow)}</a>` },
    { name: "created", kind: "nowrap", cell: (row) => html`<${Time} at=${row.created_on} />` },
    { name: "took", kind: "named nowrap", cell: (row) => html`<${Duration} from=${row.started_on} to=${row.ended_on} />` },
  ];
  return html`<${Table} columns=${columns} rows=${rows} keyOf=${(row) => instancePath(row.workflow, row.id)} label=${label} />`;
}

function None() {
  return html`<${Empty} title="No workflow is loaded">
    <p>Write one and serve it; this page shows it as soon as it is there.</p>
    <pre class="block">${EXAMPLE}</pre>
    <p class="row-of"><code>stepwell dev hello.py</code><${Copy} text="stepwell dev hello.py" what="copy the command" /></p><//>`;
}
