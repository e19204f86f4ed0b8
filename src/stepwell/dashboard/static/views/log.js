// What the code of an instance prints and logs, line by line, and new lines as they come.
import { html, useEffect, useMemo, useRef, useState } from "../dom.js";
import { get, ownInstancePath, urlOf } from "../api.js";
import { clockTime, count, exact, plural, visible, visibleLines } from "../format.js";
import { changeQuery, instanceUrl } from "../router.js";
import { Button, ErrorBox, Loading, download } from "../ui.js";
import { keyOf } from "./rows.js";

const AT_ONCE = 1_000;
const DRAWN = 500;
const AGAIN_MS = 2_000;
const ERRORS = new Set(["ERROR", "CRITICAL", "stderr"]);
const WARNINGS = new Set(["WARNING", ...ERRORS]);
const LEVELS = { "": () => true, warnings: (line) => WARNINGS.has(line.level), errors: (line) => ERRORS.has(line.level) };

export function Log({ workflow, id, instance, query }) {
  const [isFollowing, setFollowing] = useState(true);
  const { lines, error, isLoading } = useLines(ownInstancePath(workflow, id, "logs"), isFollowing && !instance.isFinal);
  const [drawn, setDrawn] = useState(DRAWN);
  const wanted = (query.q ?? "").toLowerCase();
  const fits = LEVELS[query.level ?? ""] ?? LEVELS[""];
  const shown = useMemo(() => lines.filter((line) => fits(line) && (line.text.toLowerCase().includes(wanted) || (line.step ?? "").toLowerCase().includes(wanted))), [lines, wanted, fits]);
  const box = useRef(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    if (isFollowing && isAtEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [shown.length]);
  const scrolled = () => (isAtEnd.current = box.current.scrollTop + box.current.clientHeight > box.current.scrollHeight - 40);
  const save = () => download(`${id}.ndjson`, lines.map((line) => JSON.stringify(line) + "\n").join(""), "application/x-ndjson");
  return html`<div class="filters tools-of">
      <input type="search" data-search aria-label="Search the log" placeholder="Search" value=${query.q ?? ""} onInput=${(event) => changeQuery({ q: event.target.value }, { replace: true })} />
      <select aria-label="Levels" value=${query.level ?? ""} onChange=${(event) => changeQuery({ level: event.target.value })}><option value="">all levels</option><option value="warnings">warnings and errors</option><option value="errors">errors</option></select>
      ${!instance.isFinal && html`<label><input type="checkbox" checked=${isFollowing} onChange=${() => setFollowing(!isFollowing)} /> follow</label>`}
      <${Button} disabled=${lines.length === 0} onClick=${save}>Download<//><span class="muted">${plural(shown.length, "line")}</span></div>
    ${error && html`<${ErrorBox} error=${error} />`}
    ${isLoading ? html`<${Loading} rows=${5} />` : shown.length === 0 ? html`<p class="muted">${lines.length ? "No line fits." : "Its code has printed and logged nothing."}</p>` : html`<div class="log" role="log" aria-live="off" tabindex="0" aria-label="Log" ref=${box} onScroll=${scrolled}>
      ${shown.length > drawn && html`<p><${Button} onClick=${() => setDrawn(drawn + DRAWN)}>${count(Math.min(DRAWN, shown.length - drawn))} earlier ones<//></p>`}
      ${shown.slice(-drawn).map((line) => html`<${Line} key=${line.n} line=${line} workflow=${workflow} id=${id} query=${query} />`)}</div>`}`;
}

function Line({ line, workflow, id, query }) {
  return html`<div class="line ${ERRORS.has(line.level) ? "error" : line.level === "WARNING" ? "warning" : ""}"><time dateTime=${line.at} title=${exact(line.at)}>${clockTime(line.at)}</time>
    <span class="level">${visible(line.level)}</span>
    <span class="from">${line.step && html`<a class="clip" href=${instanceUrl(workflow, id, { ...query, step: keyOf("step", line.step), attempt: line.attempt ?? "" })} title=${visible(line.step)}>${visible(line.step)}</a>${line.attempt > 1 && html`<small class="muted"> ${line.attempt}</small>`}`}</span>
    <span class="text">${visibleLines(line.text)}</span></div>`;
}

// All lines, page by page; then each new one as it is said, for as long as `follows` holds.
function useLines(path, follows) {
  const [state, setState] = useState({ lines: [], isLoading: true, error: null });
  const next = useRef(0);
  useEffect(() => {
    const reading = new AbortController();
    const add = (lines) => {
      if (lines.length) next.current = lines.at(-1).n;
      setState((old) => ({ lines: [...old.lines, ...lines], isLoading: false, error: null }));
    };
    const read = async () => {
      for (let more = true; more; ) {
        const { result } = await get(`${path}?limit=${AT_ONCE}&after=${next.current}`, { signal: reading.signal });
        add(result.lines);
        more = result.lines.length === AT_ONCE;
      }
      if (follows) await follow(`${path}?follow=true&after=${next.current}`, reading.signal, add);
    };
    // What is followed ends with its server too, which may come back.
    let timer = 0;
    const readOn = () =>
      read()
        .catch((error) => reading.signal.aborted || setState((old) => ({ ...old, isLoading: false, error })))
        .then(() => follows && !reading.signal.aborted && (timer = setTimeout(readOn, AGAIN_MS)));
    readOn();
    return () => (reading.abort(), clearTimeout(timer));
  }, [path, follows]);
  return state;
}

async function follow(path, signal, add) {
  const response = await fetch(urlOf(path), { credentials: "same-origin", signal });
  if (!response.ok) throw new Error(`New lines do not come: the server answered ${response.status}.`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    add(parts.filter(Boolean).map((part) => JSON.parse(part)));
  }
}
