// What the code of an instance prints and logs, line by line, and new lines as they come.
import { html, useEffect, useRef, useState } from "../dom.js";
import { get, ownInstancePath, urlOf } from "../api.js";
import { clockTime, exact, visible, visibleLines } from "../format.js";
import { stepUrl } from "../router.js";
import { Lines } from "./lines.js";
import { keyOf } from "./rows.js";

const AT_ONCE = 1_000;
const AGAIN_MS = 2_000;
const ERRORS = new Set(["ERROR", "CRITICAL", "stderr"]);
const WARNINGS = new Set(["WARNING", ...ERRORS]);
const LEVELS = [["", "all levels"], ["warnings", "warnings and errors"], ["errors", "errors"]];
const fits = (line, level) => level === "" || (level === "errors" ? ERRORS : WARNINGS).has(line.level);

export function Log(given) {
  const { workflow, id, instance, query } = given;
  const [isFollowing, setFollowing] = useState(true);
  const found = useLines(ownInstancePath(workflow, id, "logs"), isFollowing && !instance.isFinal);
  return html`<${Lines} found=${found} name="Log" file=${id} query=${query} param="level" choices=${LEVELS} fits=${fits} textOf=${(line) => `${line.text} ${line.step ?? ""}`}
    draw=${(line) => html`<${Line} key=${line.n} line=${line} ...${given} />`} none="Its code has printed and logged nothing.">
    ${!instance.isFinal && html`<label><input type="checkbox" checked=${isFollowing} onChange=${() => setFollowing(!isFollowing)} /> follow</label>`}<//>`;
}

function Line({ line, ...given }) {
  return html`<div class="line ${ERRORS.has(line.level) ? "error" : line.level === "WARNING" ? "warning" : ""}"><time dateTime=${line.at} title=${exact(line.at)}>${clockTime(line.at)}</time>
    <span class="level">${visible(line.level)}</span>
    <span class="from">${line.step && html`<a class="clip" href=${stepUrl(given, keyOf("step", line.step), line.attempt ?? "")} title=${visible(line.step)}>${visible(line.step)}</a>${line.attempt > 1 && html`<small class="muted"> ${line.attempt}</small>`}`}</span>
    <span class="text">${visibleLines(line.text)}</span></div>`;
}

// All lines, page by page; then each new one as it is said, for as long as `follows` holds.
function useLines(path, follows) {
  const [state, setState] = useState({ lines: [], isLoading: true, error: null });
  const [times, setTimes] = useState(0);
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
  }, [path, follows, times]);
  return { ...state, reload: () => setTimes(times + 1) };
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
