// The instances of a workflow, or of all: filtered, a page at a time, ticked and changed together. All of it is in the address.
import { html, useEffect, useRef, useState } from "../dom.js";
import { ownPath, useRead, workflowPath } from "../api.js";
import { count, duration, exact, plural, visible } from "../format.js";
import { useKeys } from "../keys.js";
import { later } from "../later.js";
import { workflowTopic } from "../live.js";
import { changeQuery, go, instanceUrl, linesOf, queryText, toggled, workflowUrl } from "../router.js";
import { session } from "../session.js";
import { Button, Duration, Empty, Labels, Loaded, Menu, StatusBadge, Table, Time, copyText, useNow, useTitle } from "../ui.js";
import { Bulk, actionsFor, useBulk } from "./bulk.js";
import { Counts } from "./counts.js";
import { InstanceFilters, inWords, isNarrow, nothingFound, statusWords, useAsked } from "./filters.js";
import { childOf } from "./rows.js";
import { keepList } from "./walk.js";
import { WorkflowHead } from "./workflow_head.js";

const Create = later("Create");
// So far down one still looks at the newest.
const AT_TOP = 120;
const keyOfInstance = (row) => `${row.workflow_name} ${row.id}`;

export function Instances({ workflow, query }) {
  useTitle(statusWords(query) || "Instances", ...(workflow ? [workflow] : []));
  const topics = [workflow ? workflowTopic(workflow) : "overview"];
  const facts = useRead(workflow ? workflowPath(workflow) : null, { topics });
  const asked = useAsked(workflow ? ownPath(workflow, "instances") : "/stepwell/instances", query);
  const list = useRead(asked({}), { topics });
  const bulk = useBulk(list.reload);
  const isGone = facts.error?.status === 404 && !facts.result;
  const mayCreate = workflow && session.now.can_write && !isGone;
  useKeys({ c: () => mayCreate && changeQuery({ create: "1" }) });
  const home = workflow ? workflowUrl(workflow) : "/instances";
  const url = (changes) => home + queryText({ ...query, cursor: "", create: "", ...changes });
  const counts = facts.result?.instances;
  const chosen = linesOf(query.status);
  const total = counts && !isNarrow(query) ? Object.entries(counts).reduce((sum, [status, many]) => sum + (!chosen.length || chosen.includes(status) ? many : 0), 0) : undefined;
  return html`${workflow ? html`<${WorkflowHead} workflow=${workflow} tab="instances">${mayCreate && html`<${Button} kind="primary" onClick=${() => changeQuery({ create: "1" })}>Create instance<//>`}<//>` : html`<h1>Instances</h1>`}
    ${(counts || !workflow) && html`<${Counts} counts=${counts} chosen=${chosen} urlOf=${(status) => url({ status: toggled(query.status, status) })} />`}
    ${!isGone && html`<${InstanceFilters} query=${query} workflow=${workflow} url=${url} home=${home} />`}
    <${Loaded} read=${list}>${(rows, info) => html`<${Rows} rows=${rows} info=${info} total=${total} asked=${asked} query=${query} workflow=${workflow} url=${url} home=${home} bulk=${bulk} />`}<//>
    ${bulk.drawn}
    ${mayCreate && query.create && html`<${Create} workflow=${workflow} close=${() => changeQuery({ create: "" }, { replace: true })} />`}`;
}

// The rows to show, and how many new ones are not among them. Who has scrolled down keeps what he sees: it changes in place.
function useHeld(fresh, total, asked, { cursor, sort }) {
  const held = useRef(null);
  const [, draw] = useState(null);
  const isNewestFirst = !cursor && sort !== "created";
  useEffect(() => {
    const look = () => isNewestFirst && scrollY < AT_TOP && draw({});
    addEventListener("scroll", look, { passive: true });
    return () => removeEventListener("scroll", look);
  }, [isNewestFirst]);
  const before = held.current;
  const take = () => ((held.current = { asked, rows: fresh, total }), { rows: fresh, many: 0 });
  if (before?.asked !== asked) return take();
  before.total ??= total;
  if (!isNewestFirst) return { rows: fresh, many: Math.max(0, total - before.total || 0) };
  const seen = new Set(before.rows.map(keyOfInstance));
  const many = fresh.findIndex((row) => seen.has(keyOfInstance(row)));
  if (scrollY < AT_TOP || many === 0 || !fresh.length) return take();
  const newest = new Map(fresh.map((row) => [keyOfInstance(row), row]));
  return { rows: before.rows.map((row) => newest.get(keyOfInstance(row)) ?? row), many: many < 0 ? fresh.length : many };
}

function Rows({ rows: fresh, info, total, asked, query, workflow, url, home, bulk }) {
  const { rows, many } = useHeld(fresh, total, asked, query);
  const [ticked, setTicked] = useState(new Set());
  const [isAll, setAll] = useState(false);
  const clear = () => (setTicked(new Set()), setAll(false));
  keepList(rows);
  const lastTick = useRef(null);
  const mayWrite = session.now.can_write;
  const page = url({});
  useEffect(clear, [page, query.cursor, bulk.successes]);
  const tick = (key, on, isRange) => {
    setAll(false);
    const keys = rows.map(keyOfInstance);
    const ends = [keys.indexOf(isRange ? lastTick.current : key), keys.indexOf(key)];
    const changed = ends[0] < 0 ? [key] : keys.slice(Math.min(...ends), Math.max(...ends) + 1);
    lastTick.current = key;
    setTicked((old) => (changed.forEach((one) => (on ? old.add(one) : old.delete(one))), new Set(old)));
  };
  const tickFocused = (isRange) => {
    const box = document.activeElement?.closest("tbody tr")?.querySelector("input[type=checkbox]");
    if (box) tick(box.value, isRange || !box.checked, isRange);
  };
  useKeys({ x: () => tickFocused(false), X: () => tickFocused(true) });
  // Where a search has looked for as long as it may, it says how far, and goes on by a click.
  const goOn = info.cursor && html`<a class="button" href=${url({ cursor: info.cursor })}>${info.is_partial ? "Go on" : "Next"}</a>`;
  const lookedTo = info.is_partial && html`<span role="status">looked ${query.sort ? "up" : "back"} to ${exact(info.looked_to)}, which took as long as a search may</span>`;
  if (!rows.length) return html`<${None} query=${query} page=${page} home=${home}>${goOn && html`<p class="row-of">${lookedTo} ${goOn}</p>`}<//>`;
  const all = rows.every((row) => ticked.has(keyOfInstance(row)));
  const columns = [
    mayWrite && {
      name: "tick",
      kind: "tight",
      head: html`<input type="checkbox" aria-label="tick all rows" checked=${all} onChange=${() => (setAll(false), setTicked(new Set(all ? [] : rows.map(keyOfInstance))))} />`,
      cell: (row) => html`<input type="checkbox" value=${keyOfInstance(row)} aria-label=${`tick ${visible(row.id)}`} checked=${ticked.has(keyOfInstance(row))} onClick=${(event) => tick(keyOfInstance(row), event.target.checked, event.shiftKey)} />`,
    },
    { name: "status", kind: "tight", cell: (row) => html`<${StatusBadge} status=${row.status} />` },
    { name: "id", kind: "main", cell: (row) => html`<a class="row mono" href=${instanceUrl(row.workflow_name, row.id)}>${visible(row.id)}</a><${Labels} labels=${row.labels} urlOf=${(label) => (linesOf(query.label).includes(label) ? page : url({ label: toggled(query.label, label) }))} />` },
    !workflow && { name: "workflow", kind: "named", cell: (row) => html`<a href=${workflowUrl(row.workflow_name)}>${visible(row.workflow_name)}</a>` },
    { name: "now", kind: "grow", cell: (row) => html`<${Now} row=${row} url=${url} />` },
    { name: "created", kind: "nowrap", cell: (row) => html`<${Time} at=${row.created_on} />` },
    { name: "took", kind: "named nowrap", cell: (row) => html`<${Duration} from=${row.started_on} to=${row.ended_on} />` },
    { name: "by", kind: "named nowrap wide-only", cell: (row) => visible(row.trigger_source) },
    workflow && { name: "version", kind: "wide-only nowrap", cell: (row) => html`<a class="mono" title=${row.version_id} href=${workflowUrl(workflow, "graph") + queryText({ version: row.version_id })}>${row.version_id.slice(0, 8)}</a>` },
    mayWrite && { name: "actions", kind: "tight act", head: html`<span class="hidden">actions</span>`, cell: (row) => html`<${Menu} label=${`actions for ${visible(row.id)}`} items=${itemsFor(row, bulk)} />` },
  ];
  const chosen = rows.filter((row) => ticked.has(keyOfInstance(row)));
  const match = all && info.has_more ? { asked, workflow, all: total, typed: String(total ?? workflow ?? "all"), words: inWords(query, workflow), isChosen: isAll } : null;
  const toTop = () => (scrollTo(0, 0), go(url({ sort: "" })));
  return html`${many > 0 && html`<p class="pill" role="status"><${Button} onClick=${toTop}>${count(many)} new<//></p>`}
    <${Table} columns=${columns} rows=${rows} keyOf=${keyOfInstance} classOf=${(row) => (ticked.has(keyOfInstance(row)) ? "ticked" : undefined)} label=${workflow ? `Instances of ${visible(workflow)}` : "Instances"} />
    ${chosen.length > 0 && html`<${Bulk} rows=${chosen} all=${match} setAll=${() => setAll(true)} clear=${clear} bulk=${bulk} />`}
    <nav class="pager" aria-label="Pages"><span>${total === undefined ? plural(rows.length, "instance") : `${count(rows.length)} of ${count(total)}`}</span>
      ${query.cursor && html`<a class="button" href=${page}>First page</a>`}
      ${lookedTo}${goOn}</nav>`;
}

// What an instance does now, or what it failed with.
function Now({ row, url }) {
  const { current, error } = row;
  const now = useNow(current?.until ? 1_000 : 0);
  if (error) return html`<a href=${url({ error: error.name })} title="those with this error">${visible(error.name)}</a>: ${visible(error.message)}`;
  if (!current) return null;
  const left = current.until && Date.parse(current.until) > now && duration(Date.parse(current.until) - now);
  const name = visible(current.step);
  const child = childOf(current.event_type ?? "");
  const verbs = { waitForEvent: child ? `awaits ${visible(child.id)}` : `waiting for ${visible(current.event_type)}`, sleep: `sleeps in ${name}`, rollback: `rolls back ${name}` };
  const words = verbs[current.type] ?? (current.state === "retrying" ? `retries ${name}` : name);
  return html`${words}${left && (current.state === "retrying" ? ` in ${left}` : `, ${left} left`)}${current.attempt > 1 && current.state === "running" && `, attempt ${current.attempt}`}${current.others > 0 && html` <span class="muted">and ${current.others} more</span>`}`;
}

const itemsFor = (row, bulk) => [
  ...actionsFor(row).map((action) => ({ word: action.verb, kind: action.kind, act: () => bulk.start(action, { rows: [row] }) })),
  { word: "Copy id", act: () => copyText(row.id) },
];

function None({ query, page, home, children }) {
  if (children) return html`<${Empty} title="Nothing found so far">${children}<//>`;
  if (query.cursor) return html`<${Empty} title="No more instances"><p><a href=${page}>First page</a></p><//>`;
  const nothing = nothingFound(query);
  if (nothing) return html`<${Empty} title=${nothing}><p><a class="button" href=${home}>Clear the filter</a></p><//>`;
  return html`<${Empty} title="No instances yet"><p>Each run of a workflow is an instance. ${session.now.can_write ? "Create one here, or by the API." : "They are created by the API."}</p><//>`;
}
