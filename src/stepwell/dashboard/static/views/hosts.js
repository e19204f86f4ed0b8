// Who has the store open, what waits for them, and what the store is kept in.
import { html } from "../dom.js";
import { useRead } from "../api.js";
import { bytes, count, duration, visible } from "../format.js";
import { queryText } from "../router.js";
import { Empty, Loaded, StatusBadge, Table, Time, useTitle } from "../ui.js";
import { Counts } from "./counts.js";

const EVERY_MS = 5_000;
// One stands for as many or more.
const MOST_DUE = 10_000;
export const KINDS = { sqlite: "SQLite", postgresql: "PostgreSQL" };
// Names are told to whom metrics are; to others a host is its number in the store.
export const nameOf = (host) => visible(host.name ?? `host ${host.id}`);

export function Hosts() {
  useTitle("Hosts");
  // What lags, and who is lost, changes by the time alone.
  const read = useRead("/stepwell/hosts", { topics: ["overview"], every: EVERY_MS });
  return html`<h1>Hosts</h1><${Loaded} read=${read}>${(found) => html`<${Standing} ...${found} />`}<//>`;
}

const lag = (ms) => (ms ? duration(ms) : "none");

function Standing({ hosts, waiting, database }) {
  const kind = KINDS[database.kind] ?? visible(database.kind);
  const numbers = [
    [count(waiting.due) + (waiting.due < MOST_DUE ? "" : "+"), "due"],
    [lag(waiting.lag_ms), "lag"],
    [count(waiting.queued), "queued for a slot"],
    database.size === null ? [visible(database.version), kind] : [bytes(database.size), `${kind} ${visible(database.version)}`],
  ];
  const columns = [
    { name: "state", kind: "tight", cell: ({ state }) => html`<${StatusBadge} status=${state === "alive" ? "complete" : "errored"} word=${state} />` },
    { name: "host", kind: "main", cell: (row) => html`<span class="mono">${nameOf(row)}</span>${row.version && html`<small>Stepwell ${visible(row.version)}</small>`}` },
    { name: "workers", kind: "named", cell: (row) => html`${count(row.workers)}${row.blocked_workers > 0 && html` <${StatusBadge} status="errored" word=${`${count(row.blocked_workers)} blocked`} />`}` },
    { name: "held", kind: "named", cell: (row) => count(row.held) },
    { name: "lag", kind: "named nowrap", cell: (row) => lag(row.lag_ms) },
    // Of a file there is one host, which needs none.
    hosts.some((row) => row.renewed_on) && { name: "heartbeat", kind: "named nowrap", cell: (row) => html`<${Time} at=${row.renewed_on} />` },
    { name: "since", kind: "named nowrap", cell: (row) => html`<${Time} at=${row.opened_on} />` },
  ];
  return html`<ul class="numbers">${numbers.map(([number, word]) => html`<li><b>${number}</b><span>${word}</span></li>`)}</ul>
    <${Counts} counts=${waiting.by_status} hideZero urlOf=${(status) => "/instances" + queryText({ status })} label="Instances that have not ended" />
    ${hosts.length ? html`<${Table} columns=${columns} rows=${hosts} keyOf=${(row) => row.id} label="Hosts" />` : html`<${Empty} title="No host has the store open." />`}`;
}
