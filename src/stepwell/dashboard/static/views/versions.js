// The versions of a workflow's code, and the graphs of two of them side by side.
import { html } from "../dom.js";
import { ownPath, useRead, workflowPath } from "../api.js";
import { count, exact, visible } from "../format.js";
import { workflowTopic } from "../live.js";
import { changeQuery, queryText, workflowUrl } from "../router.js";
import { Copy, Empty, Loaded, Pager, Table, Time, usePages, useTitle } from "../ui.js";
import { VersionGraph } from "./graph_tab.js";
import { WorkflowHead } from "./workflow_head.js";

export function Versions({ workflow, query }) {
  useTitle("Versions", workflow);
  const { page, read } = usePages(workflowPath(workflow, "versions"), {}, query, { topics: [workflowTopic(workflow)] });
  return html`<${WorkflowHead} workflow=${workflow} tab="versions" />
    <${Loaded} read=${read}>${(rows, info) => {
      // The newest two, unless somebody has chosen others.
      const sides = { a: query.a ?? rows[1]?.id, b: query.b ?? rows[0]?.id };
      return html`<${List} rows=${rows} info=${info} page=${page} query=${query} workflow=${workflow} sides=${sides} />
        ${sides.a && html`<h2>Side by side</h2><div class="side-by-side">${Object.entries(sides).map(([side, id]) => html`<section key=${side} aria-label=${`version ${visible(id).slice(0, 8)}`}>
          <h3 class="mono">${visible(id).slice(0, 8)}</h3><${MadeOf} workflow=${workflow} id=${id} /><${VersionGraph} key=${id} workflow=${workflow} version=${id} /></section>`)}</div>`}`;
    }}<//>`;
}

// Two versions of one hash differ in what is declared of them, and not in their code.
function MadeOf({ workflow, id }) {
  const { result } = useRead(ownPath(workflow, "versions", id));
  return html`<p class="muted">code <span class="mono" title=${result?.sha256}>${result?.sha256.slice(0, 12) ?? "..."}</span>${result?.snapshot && `, snapshot ${count(result.snapshot)}`}, <a href=${workflowUrl(workflow, "source") + queryText({ version: id })}>source</a></p>`;
}

function List({ rows, info, page, query, workflow, sides }) {
  if (!rows.length) return html`<${Empty} title="No version yet"><p>A version is made when the server loads the code.</p><//>`;
  const side = (row, name) => html`<label class="side"><input type="radio" name=${`side-${name}`} checked=${sides[name] === row.id} aria-label=${`${row.id.slice(0, 8)} on the ${name === "a" ? "left" : "right"}`} onChange=${() => changeQuery({ [name]: row.id })} /></label>`;
  const newest = page === 1 ? rows[0].id : null;
  const columns = [
    { name: "version", kind: "main", cell: (row) => html`<a class="row mono" href=${workflowUrl(workflow, "graph") + queryText({ version: row.id === newest ? "" : row.id })}>${row.id.slice(0, 8)}</a><${Copy} text=${row.id} what="copy the id" />${row.id === newest && html`<small>new instances get this one</small>`}` },
    { name: "class", kind: "named", cell: (row) => html`<span class="mono">${visible(row.class_name)}</span>` },
    { name: "made", kind: "nowrap", cell: (row) => html`<${Time} at=${row.created_on} /><small>${exact(row.created_on)}</small>` },
    { name: "instances", kind: "named", cell: (row) => html`<a href=${workflowUrl(workflow) + queryText({ version: row.id })}>list</a>` },
    rows.length > 1 && { name: "left", kind: "tight named", cell: (row) => side(row, "a") },
    rows.length > 1 && { name: "right", kind: "tight named", cell: (row) => side(row, "b") },
  ];
  return html`<${Table} columns=${columns} rows=${rows} keyOf=${(row) => row.id} label="Versions" />
    <${Pager} page=${page} info=${info} url=${workflowUrl(workflow, "versions")} query=${query} />`;
}
