// What the logs of the servers have said last: of this account, or of all for whom metrics are.
import { html } from "../dom.js";
import { useRead } from "../api.js";
import { visible } from "../format.js";
import { changeQuery, instanceUrl, queryText } from "../router.js";
import { Empty, Loaded, StatusBadge, Table, Time, useTitle } from "../ui.js";

const EVERY_MS = 2_000;
const TEXTS = [["event", "Event"], ["workflow", "Workflow"], ["instance", "Instance"], ["process", "Server or worker"]];
const LEVELS = { error: "errored", critical: "errored", warning: "paused" };

export function Facts({ query }) {
  useTitle("Server log");
  const wanted = Object.fromEntries(TEXTS.map(([name]) => [name, query[name]]));
  const isNarrow = Object.values(wanted).some(Boolean);
  const read = useRead("/stepwell/facts" + queryText({ ...wanted, cursor: query.cursor }), { every: EVERY_MS });
  const set = (name) => (event) => changeQuery({ cursor: "", [name]: event.target.value.trim() });
  return html`<h1>Server log</h1>
    <div class="filters">${TEXTS.map(([name, label]) => html`<div class="field"><label for=${name}>${label}</label><input id=${name} autocomplete="off" value=${query[name] ?? ""} onChange=${set(name)} /></div>`)}</div>
    <${Loaded} read=${read}>${(rows, info) => html`${rows.length ? html`<${Table} columns=${COLUMNS} rows=${rows} keyOf=${(row) => row.id} label="Server log" />` : html`<${Empty} title=${isNarrow ? "Nothing of that was told" : "Nothing has been told"} />`}
      <nav class="pager" aria-label="Pages">${query.cursor && html`<a class="button" href=${"/facts" + queryText(wanted)}>Newest</a>`}${info.cursor && html`<a class="button" href=${"/facts" + queryText({ ...wanted, cursor: info.cursor })}>Older</a>`}</nav>`}<//>`;
}

const COLUMNS = [
  { name: "when", kind: "nowrap", cell: (row) => html`<${Time} at=${row.at} />` },
  { name: "level", kind: "tight", cell: ({ level }) => html`<${StatusBadge} status=${LEVELS[level] ?? "complete"} word=${visible(level)} />` },
  { name: "event", kind: "named nowrap", cell: (row) => html`<span class="mono">${visible(row.event)}</span>` },
  { name: "what", kind: "main", cell: (row) => visible(row.message) },
  { name: "of", kind: "named", cell: ({ workflow_name: workflow, instance_id: instance }) => workflow && instance && html`<a href=${instanceUrl(workflow, instance)}>${visible(instance)}</a><small>${visible(workflow)}</small>` },
  { name: "from", kind: "named", cell: (row) => html`${visible(row.process)}${row.host && html`<small>${visible(row.host)}</small>`}` },
];
