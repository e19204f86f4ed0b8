// The waterfall: a row for each step, bars for its attempts, on an axis whose idle stretches are folded.
import { html, useCallback, useEffect, useMemo, useRef, useState } from "../dom.js";
import { clockTime, count, duration, exact, plural, visible } from "../format.js";
import { useKeys } from "../keys.js";
import { changeQuery, stepUrl } from "../router.js";
import { Button, Sign, useNow } from "../ui.js";
import { ownInstancePath, useRead } from "../api.js";
import { axisOf, barOf, foldsOf, ticksOf } from "./axis.js";
import { Divider, NAMES, useSize } from "./divider.js";
import { MARKED, bracketsOf, groupsOf, marksOf } from "./marks.js";
import { useFollowing, useHistory } from "./reading.js";
import { tookOf, typeWord } from "./rows.js";
import { Filters, shownRows } from "./steps.js";
import { useMedia, useWidth, useWindow } from "./window.js";

const LABEL_FROM = 48;
// Instances with more rows have no brackets: their graphs take too long.
const BRACKETS_UP_TO = 1_000;
// What is drawn, in words: the legend.
const KINDS = {
  done: "successful attempt", failed: "failed attempt", running: "in flight", delay: "waits to retry", sleep: "sleep", wait: "waits for event", cut: "interrupted",
};

const TICKS = { event: "event came", lost: "worker lost, gone on with", restarted: "restarted" };

export function Timeline({ workflow, id, instance, query, isPhone, openStep, closeStep }) {
  const { head, rows, isFinal } = instance;
  const now = useNow(isFinal ? 0 : 1_000);
  const isTouch = useMedia("(pointer: coarse)");
  const rowHeight = isPhone ? 48 : isTouch ? 40 : 28;
  const [chartRef, chartWidth] = useWidth(900);
  const [nameWidth, setNameWidth] = useSize(NAMES);
  const width = Math.max(120, isPhone ? chartWidth : chartWidth - nameWidth);
  const begin = Date.parse(head.queued);
  const shown = useMemo(() => shownRows(rows, query), [rows, query.q, query.types]);
  const axis = useAxis(rows, query, { begin, width, now, isFinal, head });
  const { ref, first, last } = useWindow(shown.length, rowHeight);
  const zoom = useZoom(axis, begin, query);
  const { records } = useHistory(workflow, id, instance, MARKED);
  const marks = useMemo(() => marksOf(records), [records]);
  // In a pause what waits stands still.
  const pause = marks.pauses.at(-1);
  const still = pause && pause.to === null ? pause.from : now;
  const brackets = useBrackets(workflow, id, instance, shown, now);
  useKeys({ f: zoom.toggleFolds, "+": () => zoom.by(0.5), "-": () => zoom.by(2), 0: zoom.reset });

  if (rows.length === 0) return html`<div ref=${chartRef}><p class="muted">No step has begun yet.</p></div>`;
  return html`<${Filters} query=${query} rows=${rows}>
      <span class="row-of">${axis.canFold && html`<${Button} aria-pressed=${query.fold !== "0"} title="f" onClick=${zoom.toggleFolds}>Fold idle time<//>`}
      <${Button} aria-label="zoom in" title="+" onClick=${() => zoom.by(0.5)}>+<//><${Button} aria-label="zoom out" title="-" disabled=${!zoom.isZoomed} onClick=${() => zoom.by(2)}>-<//>
      ${zoom.isZoomed && html`<${Button} title="0" onClick=${zoom.reset}>All<//>`}</span><//>
    <div class="waterfall ${isPhone ? "stacked" : ""}" ref=${chartRef}>
      <div class="axis-row">
        ${!isPhone && html`<div class="corner" style=${{ width: `${nameWidth}px` }}><span class="muted">${plural(shown.length, "row")}</span><${Divider} range=${NAMES} size=${nameWidth} set=${setNameWidth} sizeAt=${(x, box) => x - box.left} label="width of the names" said=${`${nameWidth} pixels`} /></div>`}
        <${Axis} axis=${axis} origin=${begin} started=${head.start && Date.parse(head.start)} zoom=${zoom} marks=${marks} />
      </div>
      ${shown.length === 0 && html`<p class="muted">No step fits.</p>`}
      <${Marks} axis=${axis} marks=${marks} offset=${isPhone ? 0 : nameWidth} />
      <${Grid} shown=${shown} first=${first} last=${last} scrollRef=${ref} ...${{ axis, now, rowHeight, nameWidth, isPhone, query, workflow, id, openStep, closeStep, still, came: marks.came, brackets }} />
    </div>
    <${Legend} rows=${rows} marks=${marks} brackets=${brackets} />`;
}

// Which of the rows stand in a bracket, as the graph says that they are done at the same time.
function useBrackets(workflow, id, instance, shown, now) {
  const mayBe = useMemo(() => shown.length <= BRACKETS_UP_TO && shown.some((row, at) => at > 0 && row.start < (shown[at - 1].end ?? now)), [shown]);
  const graph = useRead(mayBe ? ownInstancePath(workflow, id, "graph") : null);
  useFollowing(instance, graph.reload);
  const groups = useMemo(() => (graph.result?.nodes ? groupsOf(graph.result) : new Map()), [graph.result]);
  return useMemo(() => (groups.size ? bracketsOf(shown, groups, now) : groups), [shown, groups]);
}

function useAxis(rows, query, { begin, width, now, isFinal, head }) {
  const end = isFinal && head.end ? Date.parse(head.end) : now;
  return useMemo(() => {
    const from = moment(query.t0, begin) ?? begin;
    const to = Math.max(moment(query.t1, begin) ?? end, from + 1);
    const possible = foldsOf(rows, from, to, width);
    const folds = query.fold === "0" ? [] : possible.filter(([start]) => !opened(query).has(start - begin));
    const isZoomed = query.t0 !== undefined || query.t1 !== undefined;
    return Object.assign(axisOf(from, to, width, folds, !isZoomed), { canFold: possible.length > 0, end });
  }, [rows, width, query.t0, query.t1, query.fold, begin, end]);
}

// In the address moments are milliseconds since the instance was queued; `fold` names the folds that are open, 0 is all.
const moment = (given, begin) => (/^\d{1,13}$/.test(given ?? "") ? begin + Number(given) : null);
const opened = (query) => new Set((query.fold ?? "").split(",").filter(Boolean).map(Number));

function useZoom(axis, begin, query) {
  const isZoomed = query.t0 !== undefined || query.t1 !== undefined;
  const to = (from, until) => changeQuery({ t0: Math.max(0, Math.round(from - begin)) || "0", t1: Math.max(1, Math.round(until - begin)) });
  const reset = () => changeQuery({ t0: "", t1: "" });
  const by = (factor) => {
    const [left, right] = factor < 1 ? [axis.at(axis.width * 0.25), axis.at(axis.width * 0.75)] : [axis.from - (axis.to - axis.from) / 2, axis.to + (axis.to - axis.from) / 2];
    if (factor > 1 && left <= begin && right >= axis.end) return reset();
    if (right - left >= 2) to(left, Math.min(right, axis.end));
  };
  const toggleFolds = () => changeQuery({ fold: query.fold === "0" ? "" : "0" });
  const open = (fold) => changeQuery({ fold: [...opened(query), Math.round(fold.from - begin)].join(",") });
  return { isZoomed, to, by, reset, toggleFolds, open };
}

// Ticks, folds and the cursor's line; a drag zooms in.
function Axis({ axis, origin, started, zoom, marks }) {
  const ref = useRef(null);
  const cursor = useRef(null);
  const drag = useRef(null);
  const ticks = useMemo(() => ticksOf(axis, origin), [axis, origin]);
  const at = (event) => Math.max(0, Math.min(axis.width, event.clientX - ref.current.getBoundingClientRect().left));
  const move = (event) => {
    const x = at(event);
    const line = cursor.current;
    line.hidden = false;
    line.style.transform = `translateX(${x}px)`;
    const time = axis.at(x);
    line.firstChild.textContent = `+${duration(time - origin)}, ${clockTime(time)}`;
    line.classList.toggle("left", x > axis.width - 160);
    line.lastChild.style.width = drag.current === null ? "0" : `${Math.abs(x - drag.current)}px`;
    line.lastChild.style.left = drag.current === null ? "0" : `${Math.min(0, drag.current - x)}px`;
  };
  const press = (event) => {
    if (event.button === 0 && !event.target.closest("button")) {
      drag.current = at(event);
      ref.current.setPointerCapture(event.pointerId);
    }
  };
  const release = (event) => {
    const [start, end] = [drag.current, at(event)];
    drag.current = null;
    if (start !== null && Math.abs(end - start) > 6) zoom.to(axis.at(Math.min(start, end)), axis.at(Math.max(start, end)));
  };
  const wheel = (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom.by(event.deltaY < 0 ? 0.5 : 2);
  };
  useEffect(() => {
    const element = ref.current;
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  });
  return html`<div class="axis" ref=${ref} style=${{ width: `${axis.width}px` }} onPointerMove=${move} onPointerDown=${press} onPointerUp=${release} onPointerLeave=${() => (cursor.current.hidden = true)}>
    ${ticks.map((tick) => html`<span class="tick" key=${tick.at} style=${{ left: `${tick.x}px` }} title=${exact(tick.at)}>${tick.at === origin ? "0" : `+${duration(tick.at - origin)}`}</span>`)}
    ${axis.pieces.filter((piece) => piece.isFold).map((piece) => html`<button type="button" class="fold" key=${piece.from} aria-pressed="true" style=${{ left: `${piece.x}px`, width: `${piece.width}px` }} title="${duration(piece.to - piece.from)} in which nothing ran; click to unfold" aria-label="folded: ${duration(piece.to - piece.from)}, unfold" onClick=${() => zoom.open(piece)}>${short(piece.to - piece.from)}</button>`)}
    <${Queue} axis=${axis} from=${origin} to=${started} />
    ${marks.ticks.map(({ at, kind, words }) => barOf(axis, at, at, 0) && html`<span class="mark ${kind}" role="img" key=${`${kind} ${at}`} style=${{ left: `${axis.x(at)}px` }} title=${`${visible(words)}, ${exact(at)}`} aria-label=${`${visible(words)}, ${exact(at)}`}></span>`)}
    ${marks.pauses.map(({ from, to }) => {
      const bar = barOf(axis, from, to ?? axis.end, 0);
      const said = `paused ${short((to ?? axis.end) - from)}`;
      return bar && bar.width > said.length * 6.2 && html`<span class="pause-word" key=${from} style=${{ left: `${bar.x}px`, width: `${bar.width}px` }}>${said}</span>`;
    })}
    <span class="cursor" ref=${cursor} hidden><span></span><i></i></span></div>`;
}

function Queue({ axis, from, to }) {
  const bar = to ? barOf(axis, from, to, 0) : null;
  return bar && bar.width >= 3 && html`<span class="queue" style=${{ left: `${bar.x}px`, width: `${bar.width}px` }} title="queued: ${duration(to - from)}"></span>`;
}

// Through all rows: bands in which what waits stands still, and the line at which somebody ended it.
function Marks({ axis, marks, offset }) {
  const left = (bar) => `${offset + bar.x}px`;
  const end = marks.terminatedAt !== null && barOf(axis, marks.terminatedAt, marks.terminatedAt, 0);
  return html`${marks.pauses.map(({ from, to }) => {
      const bar = barOf(axis, from, to ?? axis.end, 1);
      return bar && html`<div class="pause" key=${from} style=${{ left: left(bar), width: `${bar.width}px` }} title=${`paused ${duration((to ?? axis.end) - from)}`}></div>`;
    })}
    ${end && html`<div class="ended" style=${{ left: left(end) }}><${Sign} of="terminated" label="terminated" /></div>`}`;
}

// The first unit alone: a fold is narrow.
const short = (ms) => duration(ms).split(" ").slice(0, 2).join(" ");

function Grid({ shown, first, last, scrollRef, rowHeight, openStep, closeStep, query, ...rest }) {
  const [active, setActive] = useState(0);
  const focusNext = useRef(false);
  const opened = shown.findIndex((row) => row.key === query.step);
  // A step that the address names is there when the page is; later the reader scrolls.
  useEffect(() => {
    if (opened < 0) return;
    setActive(opened);
    const box = scrollRef.current;
    if (opened * rowHeight >= box.scrollTop + box.clientHeight) box.scrollTop = opened * rowHeight - box.clientHeight / 2;
  }, [query.step, opened >= 0]);
  useEffect(() => {
    if (!focusNext.current) return;
    focusNext.current = false;
    scrollRef.current.querySelector(`[data-index="${active}"]`)?.focus({ preventScroll: true });
  });
  const move = useCallback((to) => {
    const next = Math.max(0, Math.min(shown.length - 1, to));
    const box = scrollRef.current;
    if (next * rowHeight < box.scrollTop) box.scrollTop = next * rowHeight;
    if ((next + 1) * rowHeight > box.scrollTop + box.clientHeight) box.scrollTop = (next + 1) * rowHeight - box.clientHeight;
    focusNext.current = true;
    setActive(next);
  }, [shown.length, rowHeight]);
  const keys = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
  const hear = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === "ArrowRight") openStep(shown[active].key);
    else if (event.key === "ArrowLeft" && query.step) closeStep();
    else if (Object.hasOwn(keys, event.key)) move(active + keys[event.key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<div class="bars" ref=${scrollRef} role="treegrid" aria-label="Timeline" aria-rowcount=${shown.length} onKeyDown=${hear}>
    <div style=${{ height: `${first * rowHeight}px` }}></div>
    ${shown.slice(first, last).map((row, at) => html`<${Row} key=${row.key} openStep=${openStep} row=${row} index=${first + at} isActive=${first + at === Math.min(active, shown.length - 1)} isOpen=${query.step === row.key} rowHeight=${rowHeight} query=${query} ...${rest} />`)}
    <div style=${{ height: `${(shown.length - last) * rowHeight}px` }}></div></div>`;
}

function Row({ row, index, isActive, isOpen, axis, now, rowHeight, nameWidth, isPhone, query, workflow, id, openStep, closeStep, still, came, brackets }) {
  // A click on a bar opens its attempt; the name is a link, which the browser may open elsewhere.
  const click = (event) => event.target.closest("a") || openStep(row.key, event.target.closest("[data-attempt]")?.dataset.attempt);
  const took = duration(tookOf(row, now));
  const label = [row.name, typeWord(row.type), row.words, row.attempts.length > 1 ? `${count(row.attempts.length)} attempts` : "", took].filter(Boolean).map(visible).join(", ");
  return html`<div role="row" class="bar-row s-${row.status} ${isOpen ? "chosen" : ""} ${brackets.has(row.key) ? `bracket ${brackets.get(row.key)}` : ""}" aria-rowindex=${index + 1} aria-level="1" aria-selected=${isOpen} aria-label=${label} tabindex=${isActive ? 0 : -1} data-index=${index} data-step=${row.key} onClick=${click} style=${{ height: `${rowHeight}px` }}>
    <div role="rowheader" class="bar-name" style=${isPhone ? undefined : { width: `${nameWidth}px` }}><a href=${stepUrl({ workflow, id, query }, row.key)} tabindex="-1" title=${visible(row.name)}><${Sign} of=${row.status} /> <span>${visible(row.name)}</span></a>${isPhone && html`<small class="muted num">${took}</small>`}</div>
    <div role="gridcell" class="bar-cell" style=${{ width: `${axis.width}px` }}><${Came} axis=${axis} at=${came.get(row.name)} row=${row} />${row.segments.map((segment, at) => html`<${Bar} key=${at} segment=${segment} row=${row} axis=${axis} now=${now} still=${still} isLast=${at === row.segments.length - 1} />`)}</div></div>`;
}

// A line from the moment at which an event came to the end of the wait that got it.
function Came({ axis, at, row }) {
  const bar = row.type === "waitForEvent" && row.end !== null && at !== undefined && barOf(axis, Math.min(at, row.end), row.end, 0);
  return bar && bar.width >= 3 && html`<span class="came" style=${{ left: `${bar.x}px`, width: `${bar.width}px` }} title=${`its event came ${exact(at)}`}></span>`;
}

function Bar({ segment, row, axis, now, still, isLast }) {
  const to = segment.to ?? Math.max(now, segment.from);
  const bar = barOf(axis, segment.from, to, segment.kind === "delay" ? 0 : 3);
  if (bar === null) return null;
  const isOpen = segment.to === null;
  const text = isLast || bar.width >= LABEL_FROM ? words(segment, row, to, still) : "";
  const isInside = bar.width >= Math.max(LABEL_FROM, text.length * 6.6 + 12) && segment.kind !== "delay";
  const title = `${KINDS[segment.kind]}${segment.attempt ? `, attempt ${segment.attempt}` : ""}: ${duration(to - segment.from)}`;
  // On the side with room: behind the bar, or before the first of its row.
  const first = barOf(axis, row.start, row.start) ?? bar;
  const beside = bar.x + bar.width + text.length * 6.6 + 20 > axis.width ? { right: `${axis.width - first.x + 4}px` } : { left: `${bar.x + bar.width + 6}px` };
  return html`<span data-attempt=${segment.attempt} class="seg ${segment.kind} ${isOpen ? "open" : ""} ${row.type === "rollback" ? "undo" : ""}" style=${{ left: `${bar.x}px`, width: `${bar.width}px` }} title=${title}>${isInside && html`<b>${text}</b>`}${segment.ends && html`<i class=${segment.ends}></i>`}</span>
    ${text && !isInside && isLast && html`<span class="beside num" style=${beside}>${text}</span>`}`;
}

function words(segment, row, to, now) {
  const left = row.until === null || segment.to !== null ? "" : `${duration(Math.max(0, row.until - now))} left`;
  if (segment.kind === "delay") return left && `retry in ${left.replace(" left", "")}`;
  return left || duration(to - segment.from);
}

function Legend({ rows, marks, brackets }) {
  const there = new Set(rows.flatMap((row) => row.segments.map((segment) => segment.kind)));
  const ticks = new Set(marks.ticks.map((tick) => tick.kind));
  const item = (sign, said) => html`<li><span class=${sign}></span>${said}</li>`;
  return html`<ul class="legend" aria-label="Legend">${Object.entries(KINDS).filter(([kind]) => there.has(kind)).map(([kind, said]) => item(`seg ${kind}`, said))}
    ${rows.some((row) => row.type === "rollback") && item("seg done undo", "rollback")}
    ${marks.pauses.length > 0 && item("pause", "paused")}
    ${Object.entries(TICKS).filter(([kind]) => ticks.has(kind)).map(([kind, said]) => item(`mark ${kind}`, said))}
    ${marks.terminatedAt !== null && item("ended", "terminated")}
    ${brackets.size > 0 && item("bracket first", "at the same time")}</ul>`;
}
