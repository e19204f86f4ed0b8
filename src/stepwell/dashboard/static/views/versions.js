// The versions of a workflow's code, and the graphs of two of them side by side.
import { html } from "../dom.js";
import { useRead, workflowPath } from "../api.js";
import { exact, visible } from "../format.js";
import { workflowTopic } from "../live.js";
import { changeQuery, queryText, workflowUrl } from "../router.js";
import { Copy, Empty, Loaded, Pager, Table, Time, useTitle } from "../ui.js";
import { VersionGraph } from "./graph_tab.js";
import { WorkflowHead } from "./workflow_head.js";

const PER_PAGE = 50;

export function Versions({ workflow, query }) {
  useTitle("Versions", workflow);
  const page = Math.max(1, Number.parseInt(query.page, 10) || 1);
  const read = useRead(workflowPath(workflow, "versions") + queryText({ per_page: PER_PAGE, page }), { topics: [workflowTopic(workflow)] });
  return html`<${WorkflowHead} workflow=${workflow} tab="versions" />
    <${Loaded} read=${read}>${(rows, info) => html`<${List} rows=${rows} info=${info} page=${page} query=${query} workflow=${workflow} />`}<//>
    ${(query.a || query.b) && html`<h2>Side by side</h2><div class="side-by-side">${["a", "b"].map((side) => query[side] && html`<section key=${side} aria-label=${`version ${visible(query[side]).slice(0, 8)}`}>
      <h3 class="mono">${visible(query[side]).slice(0, 8)}</h3><${VersionGraph} key=${query[side]} workflow=${workflow} version=${query[side]} /></section>`)}</div>`}`;
}

function List({ rows, info, page, query, workflow }) {
  if (!rows.length) return html`<${Empty} title="No version yet"><p>A version is made when the server loads the code.</p><//>`;
  const side = (row, name) => html`<label class="side"><input type="radio" name=${`side-${name}`} checked=${query[name] === row.id} aria-label=${`${row.id.slice(0, 8)} on the ${name === "a" ? "left" : "right"}`} onChange=${() => changeQuery({ [name]: row.id })} /></label>`;
  const newest = page === 1 ? rows[0].id : null;
  const columns = [
    { name: "version", kind: "main", cell: (row) => html`<a class="row mono" href=${workflowUrl(workflow, "graph") + queryText({ version: row.id === newest ? "" : row.id })}>${row.id.slice(0, 8)}</a><${Copy} text=${row.id} what="copy the id" />${row.id === newest && html`<small>new instances get this one</small>`}` },
    { name: "class", kind: "named", cell: (row) => html`<span class="mono">${visible(row.class_name)}</span>` },
    { name: "made", kind: "nowrap", cell: (row) => html`<${Time} at=${row.created_on} /><small>${exact(row.created_on)}</small>` },
    { name: "graph", kind: "wide-only", cell: (row) => (row.has_dag ? "yes" : html`<span class="muted">none</span>`) },
    rows.length > 1 && { name: "left", kind: "tight named", cell: (row) => side(row, "a") },
    rows.length > 1 && { name: "right", kind: "tight named", cell: (row) => side(row, "b") },
  ].filter(Boolean);
  return html`<${Table} columns=${columns} rows=${rows} keyOf=${(row) => row.id} label="Versions" />
    <${Pager} page=${page} info=${info} urlOf=${(to) => workflowUrl(workflow, "versions") + queryText({ ...query, page: to })} />`;
}
