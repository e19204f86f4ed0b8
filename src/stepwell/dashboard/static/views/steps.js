// The steps of an instance as a plain table: the accessible twin of the timeline, and what a phone shows first.
import { html, useMemo } from "../dom.js";
import { count, duration, visible } from "../format.js";
import { changeQuery, instanceUrl } from "../router.js";
import { Icon, SIGN, useNow } from "../ui.js";
import { filtered, tookOf, typeWord } from "./rows.js";
import { useWindow } from "./window.js";

const ROW = 41;
const SORTS = { name: (row) => row.name, took: (row, now) => tookOf(row, now), attempts: (row) => row.attempts.length };
const TYPES = ["do", "sleep", "wait", "rollback"];

// The search box and the types, which the timeline has too.
export function Filters({ query, rows, children }) {
  const types = (query.types ?? "").split(",").filter(Boolean);
  const toggle = (type) => changeQuery({ types: TYPES.filter((one) => types.includes(one) !== (one === type)).join(",") });
  const there = new Set(rows.map((row) => typeWord(row.type)));
  return html`<div class="filters tools-of">
    <input type="search" data-search aria-label="Search steps by name" placeholder="Search steps" value=${query.q ?? ""} onInput=${(event) => changeQuery({ q: event.target.value }, { replace: true })} />
    ${there.size > 1 && html`<div class="chips">${TYPES.filter((type) => there.has(type)).map((type) => html`<button type="button" class="chip" aria-pressed=${types.includes(type)} onClick=${() => toggle(type)}>${type}</button>`)}</div>`}
    ${children}</div>`;
}

export function shownRows(rows, query) {
  return filtered(rows, query.q ?? "", (query.types ?? "").split(",").filter(Boolean));
}

export function Steps({ workflow, id, instance, query }) {
  const { rows, isFinal, isWhole } = instance;
  const now = useNow(isFinal ? 0 : 1_000);
  const shown = useMemo(() => sorted(shownRows(rows, query), query.sort, now), [rows, query.q, query.types, query.sort, query.sort === "-took" && now]);
  const { ref, first, last } = useWindow(shown.length, ROW);
  const origin = rows[0]?.start ?? 0;
  return html`<${Filters} query=${query} rows=${rows}><span class="muted">${count(shown.length)}${isWhole ? "" : ", more to come"}</span><//>
    ${shown.length === 0 ? html`<p class="muted">${rows.length ? "No step fits." : "No step has begun yet."}</p>` : html`<div class="scroll rows" ref=${ref} tabindex="-1">
    <table class="steps" aria-rowcount=${shown.length + 1}><caption class="hidden">Steps</caption>
      <thead><tr><th scope="col">status</th><${Head} name="name" query=${query} /><th scope="col">type</th><th scope="col" class="end">began</th><${Head} name="took" query=${query} kind="end" /><${Head} name="attempts" query=${query} kind="end" /><th scope="col">output or error</th></tr></thead>
      <tbody>${first > 0 && html`<tr class="spacer" aria-hidden="true" style=${{ height: `${first * ROW}px` }}></tr>`}
        ${shown.slice(first, last).map((row, at) => html`<${Line} key=${row.key} row=${row} index=${first + at} origin=${origin} now=${row.end === null ? now : 0} url=${instanceUrl(workflow, id, { ...query, step: row.key, attempt: "" })} isOpen=${query.step === row.key} />`)}
        ${last < shown.length && html`<tr class="spacer" aria-hidden="true" style=${{ height: `${(shown.length - last) * ROW}px` }}></tr>`}</tbody></table></div>`}`;
}

function Head({ name, query, kind = "" }) {
  const descending = query.sort === `-${name}`;
  const next = name === "name" ? (query.sort === name ? "" : name) : descending ? "" : `-${name}`;
  const isSorted = descending || query.sort === name;
  return html`<th scope="col" class=${kind} aria-sort=${isSorted ? (descending ? "descending" : "ascending") : undefined}><button type="button" class="sort" onClick=${() => changeQuery({ sort: next })}>${name}${isSorted && (descending ? " ↓" : " ↑")}</button></th>`;
}

function Line({ row, index, origin, now, url, isOpen }) {
  return html`<tr class=${isOpen ? "ticked" : ""} aria-rowindex=${index + 2}>
    <td class="tight s-${row.status}"><span class="state"><${Icon} path=${SIGN[row.status][1]} /> ${row.words}</span></td>
    <td class="main"><a class="row clip" href=${url} data-step=${row.key} title=${visible(row.name)}>${visible(row.name)}</a></td>
    <td class="tight muted">${typeWord(row.type)}</td>
    <td class="tight num end muted" title=${new Date(row.start).toISOString()}>+${duration(row.start - origin)}</td>
    <td class="tight num end">${duration(tookOf(row, now))}</td>
    <td class="tight num end">${row.attempts.length > 1 ? html`<span class=${row.failed ? "bad" : ""}>${row.attempts.length}</span>` : row.attempts.length || ""}</td>
    <td class="said"><span class="clip ${row.error && row.status !== "complete" ? "bad" : "muted mono"}">${said(row)}</span></td></tr>`;
}

function said(row) {
  if (row.error && row.status !== "complete") return visible(`${row.error.name}: ${row.error.message}`.slice(0, 200));
  return visible((row.entry.output ?? "").slice(0, 200));
}

function sorted(rows, sort, now) {
  const name = (sort ?? "").replace("-", "");
  if (!Object.hasOwn(SORTS, name)) return rows;
  const by = SORTS[name];
  const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
  const sign = sort.startsWith("-") ? -1 : 1;
  return [...rows].sort((one, other) => sign * compare(by(one, now), by(other, now)));
}
