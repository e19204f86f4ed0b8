// Two instances of a workflow, A and B, side by side: what ran in one and not in the other, and what differs in what ran in both.
import { html, useMemo, useState } from "../dom.js";
import { getText, instancePath, ownInstancePath, ownPath, useRead } from "../api.js";
import { count, duration, plural, visible } from "../format.js";
import { jsonLines } from "../json.js";
import { compareUrl, go, instanceUrl, queryText, workflowUrl } from "../router.js";
import { Duration, Empty, ErrorBox, FINAL, Icon, Loaded, Loading, Old, Sign, StatusBadge, Table, Time, useNow, useTitle } from "../ui.js";
import { differing, folded, isBeginning, isUnknown, lineDiff, paired } from "./differences.js";
import { memberText } from "./raw.js";
import { useInstance } from "./reading.js";
import { tookOf, typeWord } from "./rows.js";
import { Search } from "./search.js";
import { Raised, REDACTED, configWords, outputPath, readOutput } from "./step.js";
import { JsonView } from "./value.js";

const OFFERED = 20;
// So many rows are drawn before somebody asks for more, and so long values are compared by their lines.
const SHOWN = 200;
const MOST_TEXT = 256 * 1_024;
// The glyph and the word of each row, so that colour is never alone.
const MARKS = {
  same: ["same", "M3 6h10M3 10h10"],
  differs: ["differs", "M3 6h10M3 10h10M11 2.5 5 13.5"],
  a: ["only in A", "M3 8h10"],
  b: ["only in B", "M3 8h10M8 3v10"],
};

export function Compare({ workflow, query }) {
  const { a, b } = query;
  useTitle(...(a && b ? [`${a} and ${b}`] : []), "Compare", workflow);
  return html`<nav class="crumbs" aria-label="Breadcrumb"><a href="/workflows">Workflows</a> / <a href=${workflowUrl(workflow)}>${visible(workflow)}</a> /</nav>
    ${a && b ? html`<${Both} key=${`${a} ${b}`} workflow=${workflow} query=${query} />` : html`<${Choice} workflow=${workflow} query=${query} />`}`;
}

const urlWith = (workflow, { a, b, all, step }, changes) => compareUrl(workflow, a, b, { all, step, ...changes });

// Which instance the other one is. What went well is what one that failed is compared with most often.
function Choice({ workflow, query }) {
  const given = query.a ?? query.b ?? "";
  const url = (changes) => compareUrl(workflow, query.a, query.b, { status: query.status, prefix: query.prefix, ...changes });
  const to = (id) => (query.a ? compareUrl(workflow, query.a, id) : compareUrl(workflow, id, query.b));
  const list = useRead(ownPath(workflow, "instances") + queryText({ per_page: OFFERED, status: query.status, prefix: query.prefix }));
  const columns = [
    { name: "status", kind: "tight", cell: (row) => html`<${StatusBadge} status=${row.status} />` },
    { name: "id", kind: "main", cell: (row) => html`<a class="row mono" href=${to(row.id)}>${visible(row.id)}</a>` },
    { name: "created", kind: "nowrap", cell: (row) => html`<${Time} at=${row.created_on} />` },
    { name: "took", kind: "named nowrap", cell: (row) => html`<${Duration} from=${row.started_on} to=${row.ended_on} />` },
  ];
  return html`<h1>Compare ${given ? html`<span class="mono">${visible(given)}</span> with` : "two instances"}</h1>
    <div class="filters"><${Search} label="Id of the other instance" value=${query.prefix} onChange=${(prefix) => go(url({ prefix }), { replace: true })} onEnter=${(id) => id && go(to(id))} />
      <ul class="chips" aria-label="Status">${[["", "any"], ["complete", "complete"], ["errored", "errored"]].map(([status, word]) => html`<li><a class="chip s-${status}" href=${url({ status })} aria-current=${(query.status ?? "") === status ? "true" : undefined}>${status && html`<${Sign} of=${status} />`}${word}</a></li>`)}</ul></div>
    <${Loaded} read=${list}>${(rows) => {
      const others = rows.filter((row) => row.id !== given);
      return others.length ? html`<${Table} columns=${columns} rows=${others} keyOf=${(row) => row.id} label="Instances to compare with" />` : html`<${Empty} title="No other instance is like that" />`;
    }}<//>`;
}

function Both({ workflow, query }) {
  const a = { name: "A", id: query.a, workflow, instance: useInstance(workflow, query.a) };
  const b = { name: "B", id: query.b, workflow, instance: useInstance(workflow, query.b) };
  const sides = [a, b];
  const pairs = useMemo(() => paired(a.instance.rows, b.instance.rows).map((pair) => ({ ...pair, what: differing(pair) })), [a.instance.rows, b.instance.rows]);
  const missing = sides.filter(({ instance }) => instance.error && !instance.head);
  const isWhole = sides.every(({ instance }) => instance.isWhole);
  return html`<div class="head"><h1>Compare</h1><div class="row-of"><a class="button" href=${urlWith(workflow, { ...query, a: query.b, b: query.a })}>Swap A and B</a></div></div>
    <div class="side-by-side sides">${sides.map((side) => html`<${Side} key=${side.name} side=${side} query=${query} />`)}</div>
    ${missing.length === 0 && (isWhole ? html`<${Summary} pairs=${pairs} sides=${sides} query=${query} workflow=${workflow} />
      <h2>Steps</h2><${Steps} pairs=${pairs} sides=${sides} query=${query} workflow=${workflow} />
      <h2>Instance</h2><${Facts} sides=${sides} />` : html`<${Loading} rows=${6} />`)}`;
}

function Side({ side: { name, id, workflow, instance }, query }) {
  const { head, own } = instance;
  const other = compareUrl(workflow, ...(name === "A" ? ["", query.b] : [query.a, ""]));
  return html`<section aria-label=${`${name}: ${visible(id)}`}><p class="row-of"><b class="side-name">${name}</b><a class="mono" href=${instanceUrl(workflow, id)}>${visible(id)}</a>${head && html`<${StatusBadge} status=${head.status} />`}</p>
    <p class="muted">${head && html`created <${Time} at=${own?.created_on ?? head.queued} />, `}<a href=${other}>choose another one</a></p>
    ${instance.error && !head ? html`<${ErrorBox} error=${instance.error} retry=${instance.read} />` : html`<${Old} read=${instance} />`}</section>`;
}

// In one line what to look at.
function Summary({ pairs, sides, query, workflow }) {
  const others = pairs.filter(({ what }) => what.length > 0);
  const only = (side) => others.filter((pair) => !pair[side === "a" ? "b" : "a"]).length;
  const [inA, inB] = [only("a"), only("b")];
  const parts = [others.length - inA - inB > 0 && `${count(others.length - inA - inB)} in both`, inA > 0 && `${count(inA)} only in A`, inB > 0 && `${count(inB)} only in B`].filter(Boolean);
  const [first] = others;
  const [one, other] = sides.map(({ instance }) => instance.head.versionId);
  return html`<p class="note" role="status">${others.length
      ? html`${count(others.length)} of ${plural(pairs.length, "step")} ${others.length === 1 ? "differs" : "differ"}: ${parts.join(", ")}. The first is <a href=${urlWith(workflow, { ...query, step: first.key })}>${visible((first.a ?? first.b).name)}</a>: ${first.what.join(", ")}.`
      : pairs.length ? `${pairs.length === 1 ? "The one step does" : `All ${count(pairs.length)} steps do`} not differ.` : "Neither has begun a step."}
    ${one !== other && html` They ran <a href=${workflowUrl(workflow, "versions") + queryText({ a: one, b: other })}>different versions of the code</a>.`}</p>`;
}

const Mark = ({ kind }) => html`<span class="verdict m-${kind}"><${Icon} path=${MARKS[kind][1]} /> ${MARKS[kind][0]}</span>`;
const markOf = ({ a, b, what }) => (!a ? "b" : !b ? "a" : what.length ? "differs" : "same");

// What is said of the instances themselves, and their params and outcomes.
function Facts({ sides }) {
  const now = useNow(sides.every(({ instance }) => instance.isFinal) ? 0 : 1_000);
  const of = (read) => sides.map(({ instance }) => read(instance));
  const took = ({ start, end, status }) => start && duration((FINAL.has(status) && end ? Date.parse(end) : now) - Date.parse(start));
  const facts = [
    ["status", of(({ head }) => head.status), (status) => html`<${StatusBadge} status=${status} />`],
    ["version", of(({ head }) => head.versionId), (id) => html`<span class="mono">${id.slice(0, 8)}</span>`],
    ["trigger", of(({ head }) => head.trigger.source), visible],
    ["steps", of(({ head }) => head.step_count), count],
    ["error", of(({ head }) => head.error && `${head.error.name}: ${head.error.message}`), (text) => visible(text.slice(0, 300))],
  ];
  const kindOf = ([one, other]) => (one === other ? "same" : "differs");
  const rows = [
    ...facts.filter(([, [one, other]]) => one !== null || other !== null).map(([name, both, drawn]) => ({ name, kind: kindOf(both), cells: both.map((value) => (value === null ? html`<span class="muted">none</span>` : drawn(value))) })),
    { name: "took", kind: null, cells: of(({ head }) => took(head) || html`<span class="muted">not started</span>`) },
  ];
  const columns = [
    { name: "differs", kind: "tight", head: html`<span class="hidden">differs</span>`, cell: ({ kind }) => kind && html`<${Mark} kind=${kind} />` },
    { name: "what", kind: "main", cell: ({ name }) => name },
    ...["A", "B"].map((name, at) => ({ name, kind: "grow named", cell: ({ cells }) => cells[at] })),
  ];
  return html`<${Table} columns=${columns} rows=${rows} keyOf=${({ name }) => name} classOf=${({ kind }) => `m-${kind ?? "none"}`} label="Instances A and B" />
    <h3>Params</h3><${ReadValues} sides=${sides} pathOf=${({ workflow, id }) => `${instancePath(workflow, id)}?simple=true`} member="params" />
    ${sides.some(({ instance }) => instance.head.status === "complete") && html`<h3>Output</h3><${ReadValues} sides=${sides} pathOf=${({ workflow, id, instance }) => (instance.head.status === "complete" ? ownInstancePath(workflow, id) : null)} member="output" />`}`;
}

// A member of what a path of each side answers; null: that side has none.
function ReadValues({ sides, pathOf, member }) {
  const reads = sides.map((side) => useRead(pathOf(side), { read: getText }));
  const loading = reads.find((read) => read.isLoading || read.error);
  if (loading) return html`<${Loaded} read=${loading} rows=${2} />`;
  return html`<${Values} texts=${reads.map((read) => (read.result === undefined ? undefined : memberText(read.result, ["result", member])))} name=${member} />`;
}

// Two values as JSON, by their lines; each as a whole by a click.
function Values({ texts, name }) {
  const [a, b] = texts;
  const isLong = texts.some((text) => (text?.length ?? 0) > MOST_TEXT);
  const lines = useMemo(() => (a === undefined || b === undefined || isLong || a === b ? null : folded(lineDiff(...texts.map(linesOf)))), [a, b]);
  const isSame = a === b || (lines !== null && lines.every(({ sign }) => !sign));
  if (a === undefined && b === undefined) return html`<p class="muted">Neither has one.</p>`;
  const whole = () => html`<div class="side-by-side">${texts.map((text, at) => html`<section><h4>${"AB"[at]}</h4><${JsonView} text=${text} name=${`${name} of ${"AB"[at]}`} /></section>`)}</div>`;
  if (isSame) return html`<p><${Mark} kind="same" /></p><${Whole} word="Show it">${() => html`<${JsonView} text=${a} name=${name} />`}<//>`;
  if (lines === null) return html`<p><${Mark} kind=${a === undefined ? "b" : b === undefined ? "a" : "differs"} />${isLong && html` <span class="muted">They are too long to be compared by their lines.</span>`}</p>${whole()}`;
  return html`<div class="value diff" tabindex="0" role="group" aria-label=${`${name}: lines that differ`}>${lines.map((line, at) => html`<${DiffLine} key=${at} ...${line} />`)}</div>
    <${Whole} word="Show both as a whole">${whole}<//>`;
}

const linesOf = (text) => jsonLines(text).map(({ depth, pieces }) => "  ".repeat(depth) + pieces.map(([, piece]) => piece).join(""));

function DiffLine({ sign, text, left }) {
  if (left) return html`<div class="muted">${plural(left, "line")} of both</div>`;
  return html`<div class=${sign ? `in-${sign}` : ""}><span class="sign">${sign && html`<span class="hidden">only in </span>${sign}`}</span><code>${text}</code></div>`;
}

// What is drawn only when it is opened.
function Whole({ word, children }) {
  const [isOpen, setOpen] = useState(false);
  return html`<details onToggle=${(event) => setOpen(event.target.open)}><summary>${word}</summary>${isOpen && children()}</details>`;
}

function Steps({ pairs, sides, query, workflow }) {
  const [most, setMost] = useState(SHOWN);
  const now = useNow(sides.every(({ instance }) => instance.isFinal) ? 0 : 1_000);
  const shown = query.all ? pairs : pairs.filter((pair) => pair.what.length > 0 || pair.key === query.step);
  const hidden = pairs.length - shown.length;
  const toggle = html`<p><a class="button" href=${urlWith(workflow, query, { all: query.all ? "" : "1" })}>${query.all ? "Only what differs" : `Show the ${plural(hidden, "step")} that ${hidden === 1 ? "is" : "are"} the same`}</a></p>`;
  const side = (row) => row && html`<span class="state s-${row.status}"><${Sign} of=${row.status} /> ${row.words}</span> <span class="muted num">${row.attempts.length > 1 && `${plural(row.attempts.length, "attempt")}, `}${duration(tookOf(row, now))}</span>`;
  return html`${(hidden > 0 || query.all) && toggle}
    ${shown.length > 0 && html`<div class="scroll"><table class="compared"><caption class="hidden">Steps of A and B</caption>
      <thead><tr><th scope="col"><span class="hidden">differs</span></th><th scope="col">step</th><th scope="col">A</th><th scope="col">B</th><th scope="col">what differs</th></tr></thead>
      <tbody>${shown.slice(0, most).map((pair) => {
        const { key, a, b, what } = pair;
        const isOpen = key === query.step;
        const row = a ?? b;
        return html`<tr key=${key} class=${`m-${markOf(pair)}${isOpen ? " ticked" : ""}`}>
            <td class="tight"><${Mark} kind=${markOf(pair)} /></td>
            <td class="main"><a class="row" href=${urlWith(workflow, query, { step: isOpen ? "" : key })} aria-expanded=${isOpen}>${visible(row.name)}</a> <small>${typeWord(row.type)}</small></td>
            <td class="grow named" data-name="A">${side(a) ?? html`<span class="muted">did not run</span>`}</td>
            <td class="grow named" data-name="B">${side(b) ?? html`<span class="muted">did not run</span>`}</td>
            <td class="grow what">${a && b && what.join(", ")}${isUnknown(pair) && html`<span class="muted">${what.length > 0 && "; "}long outputs: open to compare</span>`}</td></tr>
          ${isOpen && html`<tr key=${`${key} open`} class="opened"><td colspan="5"><${Opened} pair=${pair} sides=${sides} /></td></tr>`}`;
      })}</tbody></table></div>`}
    ${shown.length > most && html`<p><button type="button" class="button" onClick=${() => setMost(most + SHOWN)}>${count(Math.min(SHOWN, shown.length - most))} more steps</button></p>`}`;
}

// A step of both: what it returned or raised, how it is configured, and the way to it in either instance.
function Opened({ pair, sides }) {
  const rows = [pair.a, pair.b];
  const configs = rows.map((row) => row?.entry.config && configWords(row.entry.config));
  const errors = rows.map((row) => row?.error);
  const links = html`<p class="row-of">${sides.map(({ name, workflow, id }, at) => rows[at] && html`<a class="button" href=${instanceUrl(workflow, id, { step: pair.key })}>Open it in ${name}</a>`)}</p>`;
  return html`${links}
    ${configs[0] !== configs[1] && configs.some(Boolean) && html`<h3>Config</h3><ul>${configs.map((words, at) => words && html`<li><b>${"AB"[at]}</b> ${words}</li>`)}</ul>`}
    ${errors.some(Boolean) && html`<h3>Error</h3><div class="side-by-side">${errors.map((error, at) => html`<section><h4>${"AB"[at]}</h4>${error ? html`<${Raised} error=${error} />` : html`<p class="muted">none</p>`}</section>`)}</div>`}
    ${rows.some((row) => row?.status === "complete") && (pair.a ?? pair.b).type !== "sleep" && html`<h3>Output</h3><${Outputs} rows=${rows} sides=${sides} />`}`;
}

// What a step returned in each; the whole is read where the log has only its beginning.
function Outputs({ rows, sides }) {
  const reads = rows.map((row, at) => useRead(row?.status === "complete" && isBeginning(row.entry.output) ? outputPath(row, sides[at].workflow, sides[at].id) : null, { read: readOutput }));
  const loading = reads.find((read) => read.isLoading || read.error);
  if (loading) return html`<${Loaded} read=${loading} rows=${2} />`;
  const texts = rows.map((row, at) => (row?.status !== "complete" ? undefined : reads[at].result?.isBytes ? JSON.stringify({ bytes: reads[at].result.size, sha256: reads[at].result.sha256 }) : reads[at].result?.text ?? row.entry.output ?? "null"));
  if (texts.includes(REDACTED)) return html`<p class="muted">Hidden by the workflow: its output is sensitive.</p>`;
  return html`<${Values} texts=${texts} name="output" />`;
}
