// How many instances of a workflow may run, and who waits; and what limits steps share.
import { html } from "../dom.js";
import { ownPath, useRead } from "../api.js";
import { count, duration, visible } from "../format.js";
import { workflowTopic } from "../live.js";
import { Empty, Loaded, Table, Time, useTitle } from "../ui.js";
import { WorkflowHead } from "./workflow_head.js";

const rateWords = (rate) => rate && `${count(rate.limit)} in ${duration(rate.period_ms)}`;

// How many run, of how many at most if that is limited; how many wait, and since when the next of them.
const running = (many, most) => count(many) + (most === null ? "" : ` of ${count(most)}`);
const columnsOf = (mostOf) => [
  { name: "running", kind: "named", cell: (row) => running(row.running, mostOf(row)) },
  { name: "queued", kind: "named", cell: (row) => count(row.queued) },
  { name: "next since", kind: "named nowrap", cell: (row) => html`<${Time} at=${row.next_queued_on} />` },
];

export function Limits({ workflow }) {
  useTitle("Limits", workflow);
  const read = useRead(ownPath(workflow, "limits"), { topics: [workflowTopic(workflow)] });
  const account = useRead("/stepwell/limits", { topics: [workflowTopic(workflow)] });
  return html`<${WorkflowHead} workflow=${workflow} tab="limits" /><${Loaded} read=${read}>${(found) => html`<${Standing} found=${found} />`}<//>${read.result && account.result && html`<${Shared} limits=${account.result.shared} />`}`;
}

function Shared({ limits }) {
  const [many, queued, since] = columnsOf((row) => row.concurrency);
  const columns = [
    { name: "limit", kind: "main", cell: (row) => html`<span class="mono">${visible(row.name)}</span>` },
    many,
    queued,
    { name: "starts", kind: "named", cell: (row) => (row.source ? rateWords(row.rate) ?? "-" : "not set") },
    since,
  ];
  return limits.length > 0 && html`<h2>Limits that steps share</h2><${Table} columns=${columns} rows=${limits} keyOf=${(row) => row.name} label="Limits that steps share" />`;
}

// What flow control a workflow's code has declared, besides how many instances may run: pairs of a name and a value.
export const declaredLimits = (found) => [["key", found.key], ["of a key", found.concurrency_per_key], ["starts", rateWords(found.rate)], ["starts of a key", rateWords(found.rate_per_key)], ["priority", found.priority], ["singleton", found.singleton]].filter(([, value]) => value !== null);

function Standing({ found }) {
  const said = declaredLimits(found);
  if (found.concurrency === null && !said.length) return html`<${Empty} title="No limit"><p>As many instances run as workers can hold. A class limits that: <code>flow = Flow(limit=20)</code></p><//>`;
  const columns = [
    { name: "key", kind: "main", cell: (row) => html`<span class="mono">${visible(row.key) || "-"}</span>` },
    ...columnsOf(() => found.concurrency_per_key),
  ];
  return html`<ul class="numbers"><li class="s-running"><b>${running(found.running, found.concurrency)}</b><span>run</span></li><li class="s-queued"><b>${count(found.queued)}</b><span>queued</span></li></ul>
    <dl class="facts">${said.map(([name, value]) => html`<div><dt>${name}</dt><dd>${visible(value)}</dd></div>`)}</dl>
    ${found.queues.length > 0 && html`<${Table} columns=${columns} rows=${found.queues} keyOf=${(row) => row.key} label="Keys, the next first" />`}`;
}
