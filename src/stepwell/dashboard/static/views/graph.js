// The code's graph with how the instance stands in it: a drawing, and the same as an indented outline.
import { html, useEffect, useRef, useState } from "../dom.js";
import { getText, ownInstancePath, useRead } from "../api.js";
import { plural, visible } from "../format.js";
import { sourceUrl, stepUrl } from "../router.js";
import { Button, Loaded, Sign } from "../ui.js";
import { Canvas } from "./canvas.js";
import { nodesByKey, placeWords } from "./places.js";
import { useFollowing } from "./reading.js";
import { keyOf } from "./rows.js";

export function Graph(given) {
  const { workflow, id, instance, openStep } = given;
  const path = ownInstancePath(workflow, id, "graph");
  const graph = useRead(path);
  const drawing = useRead(graph.result?.nodes ? `${path}?format=svg` : null, { read: getText });
  useFollowing(instance, () => (graph.reload(), drawing.reload()));
  const [chosen, setChosen] = useState(null);
  const choose = (key) => {
    const entries = graph.result.states[key]?.entries ?? [];
    if (entries.length === 1) openStep(keyOf(entries[0].type, entries[0].name));
    const node = nodesByKey(graph.result).get(key);
    setChosen(node && { name: titleOf(node), place: node.place, entries });
  };
  return html`<${Loaded} read=${graph}>${(found) => html`
    ${found.nodes === null ? html`<p class="note">There is no graph: ${visible(found.note)}.</p>` : html`
      ${chosen && html`<${Choice} ...${given} chosen=${chosen} version=${found.version_id} close=${() => setChosen(null)} />`}
      <${Loaded} read=${drawing}>${(text) => html`<${Canvas} text=${text} name=${`${workflow}-${id}`} hasKeys onKey=${choose} />`}<//>
      <${Outlines} found=${found} states=${found.states} choose=${choose} workflow=${workflow} />`}
    ${found.others.length > 0 && html`<h3>${found.nodes === null ? "What it has done" : "Not in the graph"}</h3><${Entries} ...${given} entries=${found.others} />`}`}<//>`;
}

// Where a node stands in the source, and of which entries it may stand for several: which one is meant?
function Choice({ chosen, version, close, ...given }) {
  const { name, place, entries } = chosen;
  const ref = useRef(null);
  useEffect(() => void (entries.length === 1 || ref.current.scrollIntoView({ block: "nearest" })), [chosen]);
  const runs = entries.length > 1 ? html`${plural(entries.length, "run")}: which one?` : entries.length ? "" : "not reached";
  return html`<div class="choice" ref=${ref} role="group" aria-label="Node"><p class="row-of"><strong>${name}</strong> <span class="muted">${runs}</span> <${Place} place=${place} version=${version} workflow=${given.workflow} /><${Button} kind="quiet" onClick=${close}>Close<//></p>
    ${entries.length > 1 && html`<${Entries} ...${given} entries=${entries} />`}</div>`;
}

function Place({ place, version, workflow }) {
  return place && html`<a class="mono" href=${sourceUrl(workflow, version, place)} title="its source">${visible(placeWords(place))}</a>`;
}

const SHOWN = 200;

function Entries({ entries, ...given }) {
  return html`<ul class="entries">${entries.slice(0, SHOWN).map((entry) => html`<li class="s-${entry.status}"><a href=${stepUrl(given, keyOf(entry.type, entry.name))}><${Sign} of=${entry.status} /> ${visible(entry.name)}</a></li>`)}
    ${entries.length > SHOWN && html`<li class="muted">and ${entries.length - SHOWN} more; the steps' tab has them all</li>`}</ul>`;
}

const WORDS = { step_do: "", step_sleep: "sleep ", step_sleep_until: "sleep until ", step_wait_for_event: "wait ", function_call: "call " };

// What is drawn, as lists: the same for those who do not see it. `found` is the answer that has the graph.
export function Outlines({ found, ...given }) {
  const outline = (nodes) => html`<${Outline} nodes=${nodes} version=${found.version_id} ...${given} />`;
  return html`<details><summary>As an outline</summary>${outline(found.nodes)}
      ${Object.entries(found.functions).map(([name, node]) => html`<h3 class="mono">${visible(name)}()</h3>${outline(node.nodes)}`)}</details>
    ${found.remarks.length > 0 && html`<details><summary>${plural(found.remarks.length, "remark")}</summary><ul>${found.remarks.map((remark) => html`<li>${visible(remark)}</li>`)}</ul></details>`}`;
}

function Outline({ nodes, states, choose, ...given }) {
  return html`<ul class="outline">${nodes.map((node) => html`<li><${Line} node=${node} state=${states[node.key]} choose=${choose} /> <small><${Place} place=${node.place} ...${given} /></small>
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
