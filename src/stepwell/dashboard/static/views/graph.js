// The code's graph with how the instance stands in it: a drawing, and the same as an indented outline.
import { html, useEffect, useRef, useState } from "../dom.js";
import { getText, ownInstancePath, useRead } from "../api.js";
import { plural, visible } from "../format.js";
import { stepUrl } from "../router.js";
import { Drawing } from "../svg.js";
import { Button, Loaded, Sign, download } from "../ui.js";
import { useFollowing } from "./reading.js";
import { keyOf } from "./rows.js";

export function Graph(given) {
  const { workflow, id, instance, openStep } = given;
  const path = ownInstancePath(workflow, id, "graph");
  const graph = useRead(path);
  const drawing = useRead(graph.result?.nodes ? `${path}?format=svg` : null, { read: getText });
  useFollowing(instance, () => (graph.reload(), drawing.reload()));
  const [chosen, setChosen] = useState(null);
  const [isFit, setFit] = useState(true);
  const choose = (key) => {
    const entries = graph.result.states[key]?.entries ?? [];
    if (entries.length === 1) openStep(keyOf(entries[0].type, entries[0].name));
    setChosen(entries.length > 1 ? { key, entries } : null);
  };
  return html`<${Loaded} read=${graph}>${(found) => html`
    ${found.nodes === null ? html`<p class="note">There is no graph: ${visible(found.note)}.</p>` : html`
      ${chosen && html`<${Choice} ...${given} chosen=${chosen} close=${() => setChosen(null)} />`}
      <div class="row-of tools-of"><${Button} aria-pressed=${isFit} onClick=${() => setFit(!isFit)}>Fit<//><${Button} disabled=${!drawing.result} onClick=${() => download(`${workflow}-${id}.svg`, drawing.result, "image/svg+xml")}>Download SVG<//></div>
      <div class=${isFit ? "fit" : ""}><${Loaded} read=${drawing}>${(text) => html`<${Drawing} text=${text} onKey=${choose} />`}<//></div>
      <details><summary>As an outline</summary><${Outline} nodes=${found.nodes} ...${given} states=${found.states} choose=${choose} />
        ${Object.entries(found.functions).map(([name, node]) => html`<h3 class="mono">${visible(name)}()</h3><${Outline} nodes=${node.nodes} ...${given} states=${found.states} choose=${choose} />`)}</details>
      ${found.remarks.length > 0 && html`<details><summary>${plural(found.remarks.length, "remark")}</summary><ul>${found.remarks.map((remark) => html`<li>${visible(remark)}</li>`)}</ul></details>`}`}
    ${found.others.length > 0 && html`<h3>${found.nodes === null ? "What it has done" : "Not in the graph"}</h3><${Entries} ...${given} entries=${found.others} />`}`}<//>`;
}

// A node of a loop stands for several entries: which one is meant?
function Choice({ chosen, close, ...given }) {
  const ref = useRef(null);
  useEffect(() => ref.current.scrollIntoView({ block: "nearest" }), [chosen]);
  return html`<div class="choice" ref=${ref} role="group" aria-label="Which one"><p class="row-of"><strong>Which one?</strong> <span class="muted">${plural(chosen.entries.length, "run")} of this node</span> <${Button} kind="quiet" onClick=${close}>Close<//></p>
    <${Entries} ...${given} entries=${chosen.entries} /></div>`;
}

const SHOWN = 200;

function Entries({ entries, ...given }) {
  return html`<ul class="entries">${entries.slice(0, SHOWN).map((entry) => html`<li class="s-${entry.status}"><a href=${stepUrl(given, keyOf(entry.type, entry.name))}><${Sign} of=${entry.status} /> ${visible(entry.name)}</a></li>`)}
    ${entries.length > SHOWN && html`<li class="muted">and ${entries.length - SHOWN} more; the steps' tab has them all</li>`}</ul>`;
}

const WORDS = { step_do: "", step_sleep: "sleep ", step_sleep_until: "sleep until ", step_wait_for_event: "wait ", function_call: "call " };

function Outline({ nodes, states, choose, ...given }) {
  return html`<ul class="outline">${nodes.map((node) => html`<li><${Line} node=${node} state=${states[node.key]} choose=${choose} />
    ${groupsOf(node).map(([head, inner]) => html`${head && html`<div class="muted">${visible(head)}</div>`}<${Outline} nodes=${inner} states=${states} choose=${choose} ...${given} />`)}</li>`)}</ul>`;
}

function Line({ node, state, choose }) {
  const name = titleOf(node);
  if (!state) return html`<span>${name}</span>`;
  const text = html`${name} <small class="s-${state.status}"><span class="tone">${standing(state)}</span></small>`;
  return state.entries.length ? html`<button type="button" class="link" onClick=${() => choose(node.key)}>${text}</button>` : html`<span class=${state.status === "notReached" ? "muted" : ""}>${text}</span>`;
}

function titleOf(node) {
  if (node.type === "parallel") return node.kind === "race" ? "whichever ends first" : "at the same time";
  if (node.type === "switch") return visible(`match ${node.discriminant}`);
  if (node.type === "break") return node.word || node.kind;
  return visible((WORDS[node.type] ?? "") + (node.name ?? node.label ?? node.type)) || node.type;
}

function standing(state) {
  if (state.status === "notReached") return "not reached";
  const failed = state.failed ? `, ${state.failed} failed` : "";
  return (state.runs === 1 ? state.status : `${plural(state.runs, "run")}${failed}`) + (state.rollback ? `, rollback ${state.rollback}` : "");
}

function groupsOf(node) {
  if (node.branches) return node.branches.map((branch) => [branch.condition ?? "else", branch.nodes]);
  if (node.type === "try") return [["", node.try_block], ["", node.catch_block], ["finally", node.finally_block]].filter(([, block]) => block).map(([head, block]) => [block.label || head, block.nodes]);
  return node.nodes?.length ? [["", node.nodes]] : [];
}
