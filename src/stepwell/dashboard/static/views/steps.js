// The steps of an instance as a plain table: the accessible twin of the timeline, and what a phone shows first.
import { html, useMemo } from "../dom.js";
import { duration, plural, visible } from "../format.js";
import { changeQuery, stepUrl } from "../router.js";
import { Sign, useNow } from "../ui.js";
import { filtered, tookOf, typeWord } from "./rows.js";
import { useWindow } from "./window.js";

const ROW = 41;
const SLOWEST = "-took";
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

export function Steps(given) {
  const { instance, query } = given;
  const { rows, isFinal, isWhole } = instance;
  const now = useNow(isFinal ? 0 : 1_000);
  const isSorted = query.sort === SLOWEST;
  const shown = useMemo(() => sorted(shownRows(rows, query), isSorted, now), [rows, query.q, query.types, isSorted, isSorted && now]);
  const { ref, first, last } = useWindow(shown.length, ROW);
  const origin = rows[0]?.start ?? 0;
  return html`<${Filters} query=${query} rows=${rows}><span class="muted">${plural(shown.length, "step")}${isWhole ? "" : ", more to come"}</span><//>
    ${shown.length === 0 ? html`<p class="muted">${rows.length ? "No step fits." : "No step has begun yet."}</p>` : html`<div class="scroll rows" ref=${ref} tabindex="-1">
    <table class="steps" aria-rowcount=${shown.length + 1}><caption class="hidden">Steps</caption>
      <thead><tr><th scope="col">status</th><th scope="col">name</th><th scope="col">type</th><th scope="col" class="end">began</th><th scope="col" class="end" aria-sort=${isSorted ? "descending" : undefined}><button type="button" class="sort" onClick=${() => changeQuery({ sort: isSorted ? "" : SLOWEST })}>took${isSorted && " ↓"}</button></th><th scope="col" class="end">attempts</th><th scope="col">output or error</th></tr></thead>
      <tbody>${first > 0 && html`<tr class="spacer" aria-hidden="true" style=${{ height: `${first * ROW}px` }}></tr>`}
        ${shown.slice(first, last).map((row, at) => html`<${Line} key=${row.key} row=${row} index=${first + at} origin=${origin} now=${row.end === null ? now : 0} url=${stepUrl(given, row.key)} isOpen=${query.step === row.key} />`)}
        ${last < shown.length && html`<tr class="spacer" aria-hidden="true" style=${{ height: `${(shown.length - last) * ROW}px` }}></tr>`}</tbody></table></div>`}`;
}

function Line({ row, index, origin, now, url, isOpen }) {
  return html`<tr class=${isOpen ? "ticked" : ""} aria-rowindex=${index + 2}>
    <td class="tight s-${row.status}"><span class="state"><${Sign} of=${row.status} /> ${row.words}</span></td>
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

const sorted = (rows, isSorted, now) => (isSorted ? [...rows].sort((one, other) => tookOf(other, now) - tookOf(one, now)) : rows);
