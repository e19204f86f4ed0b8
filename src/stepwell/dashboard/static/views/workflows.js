// All workflows, with how their instances stand, and how the latest have ended.
import { html } from "../dom.js";
import { useRead } from "../api.js";
import { plural, visible } from "../format.js";
import { changeQuery, queryText, workflowUrl } from "../router.js";
import { Empty, Loaded, Pager, Table, Time, usePages, useTitle } from "../ui.js";
import { Counts } from "./counts.js";
import { useNextByWorkflow } from "./next.js";
import { Search } from "./search.js";

// The worse it ended the higher a bar is, but for a termination: so colour is not the only sign.
const HEIGHTS = { complete: 8, errored: 16, terminated: 4 };
const BARS = 24;
// So many are on a page, and sorted if they are all.
const MOST = 100;
// What rows are sorted by, first as they are more often wanted: by name, or what was or will be soonest.
const ORDERS = { name: ["name", "-name"], last: ["-last", "last"], next: ["next", "-next"] };
const KEYS = { name: (row) => row.name, last: (row) => row.triggered_on, next: (row, next) => next.get(row.name)?.next[0] };

export function Workflows({ query }) {
  useTitle("Workflows");
  const { page, read } = usePages("/workflows", { search: query.q }, query, { topics: ["overview"] }, MOST);
  return html`<div class="head"><h1>Workflows</h1><${Search} label="Search by name" value=${query.q} onChange=${(q) => changeQuery({ q, page: "" }, { replace: true })} /></div>
    <${Loaded} read=${read}>${(rows, info) => html`<${List} rows=${rows} info=${info} page=${page} query=${query} />`}<//>`;
}

// Those that have no such thing come last, whichever way.
function sorted(rows, sort, next) {
  const of = KEYS[sort.replace("-", "")];
  const order = (one, other) => (one < other ? -1 : one > other ? 1 : 0) * (sort[0] === "-" ? -1 : 1);
  const [known, none] = [rows.filter((row) => of(row, next)), rows.filter((row) => !of(row, next))];
  return [...known.sort((one, other) => order(of(one, next), of(other, next))), ...none];
}

function List({ rows: given, info, page, query }) {
  const next = useNextByWorkflow();
  const maySort = info.total_pages === 1;
  const sort = maySort && Object.values(ORDERS).flat().includes(query.sort) ? query.sort : "name";
  const rows = maySort ? sorted(given, sort, next) : given;
  const outcomes = useRead(rows.length ? "/ui/outcomes" + queryText({ workflow: given.map((row) => row.name).join("\n") }) : null, { topics: ["overview"] });
  if (!rows.length && query.q) return html`<${Empty} title=${`No name contains “${visible(query.q)}”`}><p><a href="/workflows">All workflows</a></p><//>`;
  if (!rows.length) return html`<${Empty} title="No workflow is loaded"><p>Start the server with a file that has one: <code>stepwell dev hello.py</code></p><//>`;
  const by = (name, word) => {
    const isBy = sort.replace("-", "") === name;
    const to = ORDERS[name][isBy && sort === ORDERS[name][0] ? 1 : 0];
    const isDown = sort[0] === "-";
    return maySort ? { sort: isBy ? (isDown ? "descending" : "ascending") : undefined, head: html`<a class="sort" href=${"/workflows" + queryText({ ...query, sort: to === "name" ? "" : to })}>${word}${isBy && (isDown ? " ↓" : " ↑")}</a>` } : {};
  };
  const columns = [
    { name: "name", kind: "main", ...by("name", "name"), cell: (row) => html`<a class="row" href=${workflowUrl(row.name)}><b>${visible(row.name)}</b></a><small>${visible(row.class_name)} in ${visible(row.script_name)}</small>` },
    { name: "instances", kind: "grow", cell: (row) => html`<${Counts} counts=${row.instances} hideZero urlOf=${(status) => workflowUrl(row.name) + queryText({ status })} label=${`Instances of ${visible(row.name)}`} />` },
    { name: "outcomes", kind: "named", cell: (row) => html`<${Strip} outcomes=${outcomes.result?.[row.name]} />` },
    { name: "last created", kind: "named nowrap", ...by("last", "last created"), cell: (row) => html`<${Time} at=${row.triggered_on} />` },
    { name: "next schedule", kind: "named nowrap", ...by("next", "next schedule"), cell: (row) => html`<${Next} row=${next.get(row.name)} />` },
  ];
  return html`<${Table} columns=${columns} rows=${rows} keyOf=${(row) => row.id} label="Workflows" />
    <${Pager} page=${page} info=${info} url="/workflows" query=${query} />`;
}

function Next({ row }) {
  if (!row) return html`<span class="muted">-</span>`;
  return html`<a href=${workflowUrl(row.workflow_name, "schedules")} title=${`${row.cron}: ${row.description}`}><${Time} at=${row.next[0]} /></a>`;
}

// A bar for each of the latest ends, the last on the right.
function Strip({ outcomes }) {
  if (!outcomes?.length) return outcomes && html`<span class="muted">none</span>`;
  const words = Object.keys(HEIGHTS).map((status) => [status, outcomes.filter((one) => one === status).length]).filter(([, many]) => many);
  const label = `the latest ${plural(outcomes.length, "end")}: ${words.map(([status, many]) => `${many} ${status}`).join(", ")}; the last ${outcomes.at(-1)}`;
  const first = BARS - outcomes.length;
  return html`<svg class="strip" viewBox="0 0 96 16" role="img" aria-label=${label}><title>${label}</title>${outcomes.map((status, at) => html`<rect class="s-${status}" x=${4 * (first + at)} y=${16 - HEIGHTS[status]} width="3" height=${HEIGHTS[status]} />`)}</svg>`;
}
