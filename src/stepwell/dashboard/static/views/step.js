// One step in full: its config, its attempts with what they raised and said, what it returned, and what can be decided of it.
import { html, useEffect, useRef } from "../dom.js";
import { ApiError, instancePath, ownInstancePath, urlOf, useRead } from "../api.js";
import { count, duration, exact, plural, visible, visibleLines } from "../format.js";
import { stepUrl } from "../router.js";
import { Button, Close, Copy, ErrorBox, Loaded, Sign, StatusBadge, useNow } from "../ui.js";
import { isBeginning } from "./differences.js";
import { memberText } from "./raw.js";
import { kindOf, parted, typeWord } from "./rows.js";
import { Traceback } from "./source.js";
import { JsonView } from "./value.js";
import { link, moment } from "./why.js";

const BACKOFF = { constant: "each time", linear: "and so much more each time", exponential: "doubled each time" };
const OUTCOMES = { running: "running", done: "complete", failed: "errored", cut: "cut" };
export const REDACTED = "[REDACTED]";
// So many bytes are shown, and up to so many hashed.
const FIRST = 256;
const HASHED = 1_024 * 1_024;
const ORDINALS = ["th", "st", "nd", "rd"];
const ordinal = (n) => n + (ORDINALS[(n % 100 > 10 && n % 100 < 14) ? 0 : n % 10] ?? "th");

export function StepPanel({ row, close, ...given }) {
  const ref = useRef(null);
  // What was chosen is read out, and its keys work; the page behind stays where it is.
  useEffect(() => ref.current.focus({ preventScroll: true }), []);
  const body = row ? html`<${Body} row=${row} ...${given} />` : html`<p class="muted">${given.instance.isWhole ? "The instance has no such step." : "Loading"}</p>`;
  return html`<aside class="panel" ref=${ref} tabindex="-1" aria-label="Step">
    <header><h2>${row ? html`<${Name} row=${row} rows=${given.instance.rows} />` : visible(given.query.step)}</h2>
      <span class="row-of"><${Copy} text=${location.href} what="copy the link" path="M7 9a3 3 0 0 0 4 0l2-2a2.8 2.8 0 0 0-4-4M9 7a3 3 0 0 0-4 0L3 9a2.8 2.8 0 0 0 4 4" /><${Close} label="close the step" title="Esc" onClick=${close} /></span></header>
    ${body}</aside>`;
}

function Name({ row, rows }) {
  const { base, count: nth } = parted(row.name);
  const same = rows.filter((one) => one.type === row.type && parted(one.name).base === base).length;
  return html`${visible(base)} ${same > 1 && html`<small class="muted">${ordinal(nth)} of ${count(same)}</small>`}<${Copy} text=${row.name} what="copy the name" />`;
}

function Body({ row, query, ...given }) {
  const { entry, attempts } = row;
  const chosen = Math.min(Math.max(1, Number(query.attempt) || attempts.length), attempts.length);
  return html`<p class="row-of"><${StatusBadge} status=${row.status} word=${row.words} />
      <span class="muted">${typeWord(row.type)}, began ${moment(row.start)}${row.end !== null && html`, ended ${moment(row.end)}`}</span></p>
    <${Decisions} row=${row} ...${given} />
    ${entry.config && html`<p class="muted">${configWords(entry.config)}</p>`}
    ${row.child && html`<p>Awaits the instance ${link(row.child)}.</p>`}
    ${entry.event_type !== undefined && !row.child && html`<p>Waits for the event <strong>${visible(entry.event_type)}</strong>, until ${exact(entry.end)} at the latest.</p>`}
    ${row.type === "sleep" && html`<p>${row.status === "waiting" ? "Wakes" : "Planned to wake"} at ${exact(entry.end)}.</p>`}
    ${attempts.length === 0 && entry.error && html`<${Raised} error=${entry.error} />`}
    ${attempts.length > 0 && html`<h3>${plural(attempts.length, "attempt")}</h3>
      <${Attempts} row=${row} chosen=${chosen} query=${query} ...${given} />
      <${Attempt} key=${chosen} row=${row} number=${chosen} ...${given} />`}
    ${row.type !== "sleep" && row.type !== "rollback" && row.status === "complete" && html`<h3>${row.type === "step" ? "Output" : "Event"}</h3><${Output} row=${row} ...${given} />`}`;
}

export function configWords({ retries, timeout, sensitive }) {
  const limit = Number(retries.limit);
  const tries = limit === 0 ? "no retries" : `up to ${limit === Infinity || Number.isNaN(limit) ? retries.limit : plural(limit, "retry", "retries")}, after ${span(retries.delay)}, ${BACKOFF[retries.backoff] ?? retries.backoff}`;
  return visible(`${tries}; an attempt may take ${span(timeout)}${sensitive ? `; its ${sensitive} is hidden` : ""}.`);
}

const span = (given) => (typeof given === "number" ? duration(given) : given);

// The attempts as rows that choose one, with what lay between them.
function Attempts({ row, chosen, ...given }) {
  const now = useNow(row.end === null ? 1_000 : 0);
  return html`<ol class="attempts">${row.attempts.map((attempt, at) => {
    const before = row.attempts[at - 1];
    const end = attempt.end ?? row.end ?? now;
    const outcome = row.end !== null && attempt.success === null ? "cut" : OUTCOMES[kindOf(attempt)];
    return html`${before?.end && attempt.start - before.end > 0 && html`<li class="gap muted">${duration(attempt.start - before.end)} later</li>`}
      <li class="s-${outcome}"><a href=${stepUrl(given, row.key, at + 1)} aria-current=${at + 1 === chosen ? "true" : undefined}>
        <${Sign} of=${outcome} /><span>${at + 1}</span> ${moment(attempt.start, row.start)} <span class="num">${duration(end - attempt.start)}</span> <span class="clip">${attempt.error ? visible(`${attempt.error.name}: ${attempt.error.message}`.slice(0, 200)) : outcome === "running" ? "in flight" : ""}</span></a></li>`;
  })}
    ${row.status === "waiting" && row.until !== null && html`<li class="gap s-waiting">the next one in ${duration(Math.max(0, row.until - now))}, at ${moment(row.until, now)}</li>`}</ol>`;
}

export function Raised({ error }) {
  return html`<div class="raised"><p><strong>${visible(error.name)}</strong></p><pre class="wraps">${visibleLines(error.message)}</pre></div>`;
}

// What an attempt raised, with its traceback, and what its code said.
function Attempt({ row, number, workflow, id, instance }) {
  const version = instance.head.versionId;
  const attempt = row.attempts[number - 1];
  // What it says is not in the history, so nobody tells of it: it is asked for while it may come.
  const now = useNow(attempt.end === null && row.end === null ? 2_000 : 0);
  const lines = useReadWhile(ownInstancePath(workflow, id, "logs") + `?limit=1000&step=${encodeURIComponent(row.name)}`, attempt.end ?? row.end ?? now);
  const described = useReadWhile(`${ownInstancePath(workflow, id, "attributes")}?step=${encodeURIComponent(row.name)}`, attempt.end ?? row.end);
  const own = described.result?.attempts.find((one) => one.type === row.type && one.attempt === number);
  const mine = (lines.result?.lines ?? []).filter((line) => line.attempt === number);
  const trace = attempt.error === null ? null : mine.findLast((line) => line.level === "ERROR" && line.text.includes(attempt.error.name));
  const said = mine.filter((line) => line !== trace);
  return html`${attempt.error && (trace ? html`<div class="raised"><${Copy} text=${trace.text} what="copy the traceback" /><pre><${Traceback} text=${trace.text} workflow=${workflow} version=${version} /></pre></div>` : html`<${Raised} error=${attempt.error} />`)}
    ${own && html`<${Pairs} pairs=${own.attributes} />`}
    ${lines.error && html`<${ErrorBox} error=${lines.error} />`}
    ${said.length > 0 && html`<details open><summary>${plural(said.length, "line")} of log</summary><pre class="block wraps">${said.map((line) => html`<span class=${line.level === "ERROR" || line.level === "CRITICAL" || line.level === "stderr" ? "bad" : ""}>${visibleLines(line.text)}${"\n"}</span>`)}</pre></details>`}`;
}

// Attributes, or their sums, as the author has named them.
export function Pairs({ pairs }) {
  return html`<dl class="facts">${Object.entries(pairs).map(([name, value]) => html`<div><dt>${visible(name)}</dt><dd class="num">${visible(String(value))}</dd></div>`)}</dl>`;
}

// Reads again when the state has changed.
function useReadWhile(path, state) {
  const lines = useRead(path);
  const last = useRef(state);
  useEffect(() => {
    if (last.current !== state) lines.reload();
    last.current = state;
  }, [state]);
  return lines;
}

// The whole output is read when the log has only its beginning, or only says that it is a stream.
export function Output({ row, workflow, id }) {
  const text = row.entry.output ?? "null";
  const isCut = isBeginning(text) || row.type === "waitForEvent";
  const path = outputPath(row, workflow, id);
  const read = useRead(isCut ? path : null, { read: readOutput });
  if (text === REDACTED) return html`<p class="muted">Hidden by the workflow: its output is sensitive.</p>`;
  if (!isCut) return html`<${JsonView} text=${text} name=${row.name} />`;
  return html`<${Loaded} read=${read} rows=${2}>${(found) => found.isBytes
    ? html`<p>Bytes: ${count(found.size)}. <a class="button" href=${urlOf(path)} download=${`${row.name}.bin`}>Download</a></p>
      ${found.sha256 && html`<p class="mono">SHA-256 ${found.sha256}</p>`}
      <pre class="block" tabindex="0" aria-label="first bytes">${found.first}</pre>`
    : html`<${JsonView} text=${found.text} name=${row.name} />`}<//>`;
}

export const outputPath = (row, workflow, id) => instancePath(workflow, id, "step") + `?type=${row.type}&name=${encodeURIComponent(row.name)}`;

export async function readOutput(path, { signal }) {
  const response = await fetch(urlOf(path), { credentials: "same-origin", cache: "no-store", signal });
  if (response.headers.get("content-type") === "application/octet-stream") {
    return { isBytes: true, ...(await looked(response, Number(response.headers.get("content-length")))) };
  }
  const text = await response.text();
  if (!response.ok) throw new ApiError(response.status, 0, `The output could not be read: the server answered ${response.status}.`);
  return { text: memberText(text, ["result", "output"]) ?? "null" };
}

// The beginning of bytes, and the hash of those that are few: all of them are read for it, and browsers hash in secure contexts alone.
async function looked(response, size) {
  const most = size <= HASHED && globalThis.crypto.subtle ? size : FIRST;
  const bytes = new Uint8Array(Math.min(size, most));
  const reader = response.body.getReader();
  let filled = 0;
  while (filled < bytes.length) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes.set(value.subarray(0, bytes.length - filled), filled);
    filled += Math.min(value.length, bytes.length - filled);
  }
  await reader.cancel();
  const sha256 = most === size && filled === size && globalThis.crypto.subtle ? hexOf(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))) : "";
  return { size, sha256, first: dump(bytes.subarray(0, Math.min(filled, FIRST))) };
}

const hexOf = (bytes, between = "") => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(between);
const readable = (bytes) => [...bytes].map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");

// Sixteen bytes in each line, and what they are as text.
function dump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const line = bytes.subarray(at, at + 16);
    lines.push(`${at.toString(16).padStart(4, "0")}  ${hexOf(line, " ").padEnd(48)} ${readable(line)}`);
  }
  return lines.join("\n");
}

function Decisions({ row, canWrite, ask }) {
  if (!canWrite) return null;
  const isOpen = row.status === "running" || row.status === "waiting";
  const force = (word, action) => html`<${Button} onClick=${() => ask({ kind: "force", action, type: row.type, step: row.name })}>${word}<//>`;
  return html`<div class="row-of" role="group" aria-label="Decisions">
    ${row.type === "waitForEvent" && row.status === "waiting" && !row.child && html`<${Button} kind="primary" onClick=${() => ask({ kind: "event", type: row.entry.event_type })}>Send this event<//>`}
    ${isOpen && row.status === "waiting" && row.attempts.length > 0 && force("Retry now", "retry")}
    ${isOpen && row.type === "sleep" && force("Skip", "skip")}
    ${isOpen && row.type !== "sleep" && html`${force("Complete by hand", "complete")}${force("Fail by hand", "fail")}`}
    ${row.type !== "rollback" && html`<${Button} onClick=${() => ask({ kind: "restart", row })}>Restart from here<//><${Button} onClick=${() => ask({ kind: "fork", row })}>Fork from here<//>`}</div>`;
}
