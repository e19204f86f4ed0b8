// All workflows, with how their instances stand.
import { html } from "../dom.js";
import { useRead } from "../api.js";
import { visible } from "../format.js";
import { changeQuery, queryText, workflowUrl } from "../router.js";
import { Empty, Loaded, Pager, Table, Time, useTitle } from "../ui.js";
import { Counts } from "./counts.js";
import { Search } from "./search.js";

const PER_PAGE = 50;

export function Workflows({ query }) {
  useTitle("Workflows");
  const page = Math.max(1, Number.parseInt(query.page, 10) || 1);
  const read = useRead(`/workflows${queryText({ per_page: PER_PAGE, page, search: query.q })}`, { topics: ["overview"] });
  return html`<div class="head"><h1>Workflows</h1><${Search} label="Search by name" value=${query.q} onChange=${(q) => changeQuery({ q, page: "" }, { replace: true })} /></div>
    <${Loaded} read=${read}>${(rows, info) => html`<${List} rows=${rows} info=${info} page=${page} query=${query} />`}<//>`;
}

function List({ rows, info, page, query }) {
  if (!rows.length && query.q) return html`<${Empty} title=${`No name contains “${visible(query.q)}”`}><p><a href="/workflows">All workflows</a></p><//>`;
  if (!rows.length) return html`<${Empty} title="No workflow is loaded"><p>Start the server with a file that has one: <code>stepwell dev hello.py</code></p><//>`;
  const columns = [
    { name: "name", kind: "main", cell: (row) => html`<a class="row" href=${workflowUrl(row.name)}><b>${visible(row.name)}</b></a><small>${visible(row.class_name)} in ${visible(row.script_name)}</small>` },
    { name: "instances", kind: "grow", cell: (row) => html`<${Counts} counts=${row.instances} hideZero urlOf=${(status) => workflowUrl(row.name) + queryText({ status })} label=${`Instances of ${visible(row.name)}`} />` },
    { name: "last created", kind: "named nowrap", cell: (row) => html`<${Time} at=${row.triggered_on} />` },
  ];
  return html`<${Table} columns=${columns} rows=${rows} keyOf=${(row) => row.id} label="Workflows" />
    <${Pager} page=${page} info=${info} urlOf=${(to) => "/workflows" + queryText({ ...query, page: to })} />`;
}
