// The instances of a workflow: filtered, a page at a time, ticked and changed together. All of it is in the address.
import { html, useEffect, useMemo, useRef, useState } from "../dom.js";
import { useRead, workflowPath } from "../api.js";
import { count, exact, visible } from "../format.js";
import { useKeys } from "../keys.js";
import { workflowTopic } from "../live.js";
import { changeQuery, go, instanceUrl, queryText, workflowUrl } from "../router.js";
import { session } from "../session.js";
import { Button, Duration, Empty, Loaded, STATUSES, StatusBadge, Table, Time, useTitle } from "../ui.js";
import { Bulk } from "./bulk.js";
import { Counts } from "./counts.js";
import { Create } from "./create.js";
import { WorkflowHead } from "./workflow_head.js";

const RANGES = { "15m": ["15 minutes", 900_000], "1h": ["hour", 3_600_000], "24h": ["24 hours", 86_400_000], "7d": ["7 days", 604_800_000] };
const SIZES = ["25", "50", "100"];

export function Instances({ workflow, query }) {
  useTitle(query.status ? STATUSES[query.status]?.[0] ?? query.status : "Instances", workflow);
  const topics = [workflowTopic(workflow)];
  const facts = useRead(workflowPath(workflow), { topics });
  const asked = useAsked(query);
  const list = useRead(workflowPath(workflow, "instances") + asked, { topics });
  const isGone = facts.error?.status === 404 && !facts.result;
  const mayCreate = session.now.can_write && !isGone;
  useKeys({ c: () => mayCreate && changeQuery({ create: "1" }) });
  const url = (changes) => workflowUrl(workflow) + queryText({ ...query, cursor: "", create: "", ...changes });
  return html`<${WorkflowHead} workflow=${workflow} tab="instances">${mayCreate && html`<${Button} kind="primary" onClick=${() => changeQuery({ create: "1" })}>Create instance<//>`}<//>
    ${facts.result && html`<${Counts} counts=${facts.result.instances} chosen=${query.status} urlOf=${(status) => url({ status: status === query.status ? "" : status })} />`}
    ${!isGone && html`<${Filters} query=${query} workflow=${workflow} />`}
    <${Loaded} read=${list}>${(rows, info) => html`<${Rows} rows=${rows} info=${info} query=${query} workflow=${workflow} url=${url} reload=${list.reload} />`}<//>
    ${mayCreate && query.create && html`<${Create} workflow=${workflow} onClose=${() => changeQuery({ create: "" }, { replace: true })} />`}`;
}

// What the API is asked for. A range ends now, so it is reckoned once for each time that it is chosen.
function useAsked({ status, range, from, to, sort, per, cursor }) {
  return useMemo(() => {
    const since = Object.hasOwn(RANGES, range ?? "") ? new Date(Date.now() - RANGES[range][1]).toISOString() : asTime(from);
    const direction = sort === "created" ? "asc" : "";
    return queryText({ per_page: SIZES.includes(per) ? per : "50", status, direction, cursor, date_start: since, date_end: asTime(to) });
  }, [status, range, from, to, sort, per, cursor]);
}

function asTime(local) {
  const time = new Date(local ?? "");
  return Number.isNaN(time.getTime()) ? "" : time.toISOString();
}

function Filters({ query, workflow }) {
  const [id, setId] = useState("");
  const isCustom = query.range === "custom" || Boolean(query.from || query.to);
  const set = (changes, options) => changeQuery({ cursor: "", ...changes }, options);
  const open = (event) => {
    event.preventDefault();
    if (id.trim()) go(instanceUrl(workflow, id.trim()));
  };
  const choose = (range) => set({ range, from: "", to: "" });
  return html`<div class="filters">
    <form class="field" onSubmit=${open}><label for="by-id">Go to id</label><input id="by-id" data-search class="mono" spellcheck=${false} autocomplete="off" enterkeyhint="go" value=${id} onInput=${(event) => setId(event.target.value)} /></form>
    <div class="field"><label for="range">Created</label><select id="range" value=${isCustom ? "custom" : query.range ?? ""} onChange=${(event) => choose(event.target.value)}>
      <option value="">at any time</option>${Object.entries(RANGES).map(([key, [word]]) => html`<option value=${key}>in the last ${word}</option>`)}<option value="custom">between ...</option></select></div>
    ${isCustom && ["from", "to"].map((name) => html`<div class="field"><label for=${name}>${name} (${Intl.DateTimeFormat().resolvedOptions().timeZone})</label><input id=${name} type="datetime-local" value=${query[name] ?? ""} onChange=${(event) => set({ [name]: event.target.value, range: "custom" })} /></div>`)}
    <div class="field"><label for="sort">Order</label><select id="sort" value=${query.sort ?? ""} onChange=${(event) => set({ sort: event.target.value })}><option value="">newest first</option><option value="created">oldest first</option></select></div>
    <div class="field"><label for="per">Rows</label><select id="per" value=${SIZES.includes(query.per) ? query.per : "50"} onChange=${(event) => set({ per: event.target.value === "50" ? "" : event.target.value })}>${SIZES.map((size) => html`<option value=${size}>${size}</option>`)}</select></div>
    ${(query.status || query.range || isCustom) && html`<a class="button quiet" href=${workflowUrl(workflow)}>Clear</a>`}
  </div>`;
}

function Rows({ rows, info, query, workflow, url, reload }) {
  const [ticked, setTicked] = useState(new Set());
  const lastTick = useRef(null);
  const mayWrite = session.now.can_write;
  const page = url({});
  useEffect(() => setTicked(new Set()), [page, query.cursor]);
  const tick = (id, on, isRange) => {
    const ids = rows.map((row) => row.id);
    const ends = [ids.indexOf(isRange ? lastTick.current : id), ids.indexOf(id)];
    const changed = ends[0] < 0 ? [id] : ids.slice(Math.min(...ends), Math.max(...ends) + 1);
    lastTick.current = id;
    setTicked((old) => (changed.forEach((one) => (on ? old.add(one) : old.delete(one))), new Set(old)));
  };
  useKeys({
    x: (event) => {
      const box = document.activeElement?.closest("tr")?.querySelector("input[type=checkbox]");
      if (box) tick(box.value, !box.checked, event.shiftKey);
    },
  });
  if (!rows.length) return html`<${None} query=${query} url=${url} />`;
  const all = rows.every((row) => ticked.has(row.id));
  const columns = [
    mayWrite && {
      name: "tick",
      kind: "tight",
      head: html`<input type="checkbox" aria-label="tick all rows" checked=${all} onChange=${() => setTicked(new Set(all ? [] : rows.map((row) => row.id)))} />`,
      cell: (row) => html`<input type="checkbox" value=${row.id} aria-label=${`tick ${visible(row.id)}`} checked=${ticked.has(row.id)} onClick=${(event) => tick(row.id, event.target.checked, event.shiftKey)} />`,
    },
    { name: "status", kind: "tight", cell: (row) => html`<${StatusBadge} status=${row.status} />` },
    { name: "id", kind: "main", cell: (row) => html`<a class="row mono" href=${instanceUrl(workflow, row.id)}>${visible(row.id)}</a>` },
    { name: "created", kind: "nowrap", cell: (row) => html`<${Time} at=${row.created_on} />` },
    { name: "took", kind: "named nowrap", cell: (row) => html`<${Duration} from=${row.started_on} to=${row.ended_on} />` },
    { name: "by", kind: "named nowrap wide-only", cell: (row) => visible(row.trigger_source) },
    { name: "version", kind: "wide-only", cell: (row) => html`<a class="mono" title=${row.version_id} href=${workflowUrl(workflow, "graph") + queryText({ version: row.version_id })}>${row.version_id.slice(0, 8)}</a>` },
  ].filter(Boolean);
  const chosen = rows.filter((row) => ticked.has(row.id));
  return html`<${Table} columns=${columns} rows=${rows} keyOf=${(row) => row.id} classOf=${(row) => (ticked.has(row.id) ? "ticked" : undefined)} label=${`Instances of ${visible(workflow)}`} />
    ${chosen.length > 0 && html`<${Bulk} workflow=${workflow} rows=${chosen} clear=${() => setTicked(new Set())} reload=${reload} />`}
    <nav class="pager" aria-label="Pages"><span>${count(rows.length)} of ${count(info.total_count ?? rows.length)}</span>
      ${query.cursor && html`<a class="button" href=${page}>First page</a>`}
      ${info.cursor && html`<a class="button" href=${url({ cursor: info.cursor })}>Next</a>`}</nav>`;
}

function None({ query, url }) {
  if (query.cursor) return html`<${Empty} title="No more instances"><p><a href=${url({})}>First page</a></p><//>`;
  const word = STATUSES[query.status]?.[0] ?? query.status;
  const when = Object.hasOwn(RANGES, query.range ?? "") ? ` in the last ${RANGES[query.range][0]}` : query.from ? ` since ${exact(asTime(query.from))}` : "";
  if (word || when) return html`<${Empty} title=${`Nothing ${visible(word ?? "was created")}${when}`}><p><a class="button" href=${url({ status: "", range: "", from: "", to: "" })}>Clear the filter</a></p><//>`;
  return html`<${Empty} title="No instances yet"><p>Each run of the workflow is an instance. ${session.now.can_write ? "Create one here, or by the API." : "They are created by the API."}</p><//>`;
}
