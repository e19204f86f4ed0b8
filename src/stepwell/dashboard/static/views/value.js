// A value as its JSON: indented, coloured, digit for digit. A long one is cut until it is asked for, a very long one only downloaded.
// From some lines on its objects and arrays are folded by a click, and it can be searched. All of it is text.
import { html, useEffect, useMemo, useRef, useState } from "../dom.js";
import { bytes, count, plural } from "../format.js";
import { jsonLines } from "../json.js";
import { remember, remembered } from "../store.js";
import { Button, Copy, download } from "../ui.js";

const INLINE = 64 * 1_024;
const MOST = 1_024 * 1_024;
const FOLDS_FROM = 30;
// So many lines are drawn at once: a value of a megabyte may have a hundred thousand.
const DRAWN = 2_000;
// And so many places of one line are marked that are found in it.
const MARKED = 200;

export function JsonView({ text, name = "value" }) {
  const [all, setAll] = useState(false);
  const [wraps, setWraps] = useState(() => remembered("wraps", true));
  const given = text ?? "null";
  const shown = all || given.length <= INLINE ? given : given.slice(0, INLINE);
  const lines = useMemo(() => jsonLines(shown, shown === given), [shown]);
  const size = useMemo(() => bytes(new Blob([given]).size), [given]);
  if (text === null || text === undefined) return html`<p class="muted">none</p>`;
  const wrap = () => (setWraps(!wraps), remember("wraps", !wraps));
  const tools = html`<span class="muted">${size}</span>
      <label><input type="checkbox" checked=${wraps} onChange=${wrap} /> wrap</label>
      <${Copy} text=${text} what=${`copy ${name}`} /><${Button} kind="quiet" onClick=${() => download(`${name}.json`, text)}>Download<//>`;
  return html`<figure class="json">${lines.length > FOLDS_FROM
      ? html`<${Tree} key=${shown.length} lines=${lines} name=${name} wraps=${wraps} tools=${tools} />`
      : html`<figcaption>${tools}</figcaption><div class="value ${wraps ? "wraps" : ""}" tabindex="0" role="group" aria-label=${name}>${lines.map((line) => html`<div class="row-of-value" style=${{ "--depth": line.depth }}>${drawn(line.pieces)}</div>`)}</div>`}
    ${shown !== text && html`<p>The first 64 KB of ${size}. ${text.length <= MOST ? html`<${Button} onClick=${() => setAll(true)}>Show all<//>` : "The rest is too large to show; download it."}</p>`}</figure>`;
}

const drawn = (pieces) => pieces.map(([kind, piece]) => (kind ? html`<span class=${kind}>${piece}</span>` : piece));

function Tree({ lines, name, wraps, tools }) {
  const [folded, setFolded] = useState(new Set());
  const [most, setMost] = useState(DRAWN);
  const [wanted, setWanted] = useState("");
  const [place, setPlace] = useState(0);
  const box = useRef(null);
  const texts = useMemo(() => lines.map((line) => line.pieces.map(([, piece]) => piece).join("").toLowerCase()), [lines]);
  const found = useMemo(() => (wanted ? texts.flatMap((one, at) => (one.includes(wanted) ? [at] : [])) : []), [texts, wanted]);
  const chosen = found[place];
  useEffect(() => {
    if (chosen === undefined) return;
    // What is found is not to be hidden.
    setFolded((old) => new Set([...old].filter((at) => !(at < chosen && chosen <= lines[at].end))));
    setMost((old) => Math.max(old, chosen + DRAWN / 2));
  }, [chosen]);
  useEffect(() => {
    const line = chosen === undefined ? null : box.current.querySelector(`[data-line="${chosen}"]`);
    if (!line) return;
    const [inner, outer] = [line.getBoundingClientRect(), box.current.getBoundingClientRect()];
    if (inner.top < outer.top || inner.bottom > outer.bottom) box.current.scrollTop += inner.top - outer.top - outer.height / 3;
  }, [chosen, folded, most]);
  const toggle = (at) => setFolded((old) => (old.has(at) ? old.delete(at) : old.add(at), new Set(old)));
  const foldAll = () => setFolded(new Set(folded.size ? [] : lines.flatMap((line, at) => (line.end !== undefined && line.depth > 0 ? [at] : []))));
  const step = (by) => setPlace((place + by + found.length) % found.length);
  const hear = (event) => {
    if (event.key !== "Enter" || !found.length) return;
    event.preventDefault();
    step(event.shiftKey ? -1 : 1);
  };
  const rows = [];
  let at = 0;
  while (at < lines.length && rows.length < most) {
    rows.push(at);
    at = folded.has(at) ? lines[at].end + 1 : at + 1;
  }
  return html`<figcaption><input type="search" aria-label=${`Search ${name}`} placeholder="Search" value=${wanted} onInput=${(event) => (setWanted(event.target.value.toLowerCase()), setPlace(0))} onKeyDown=${hear} />
      ${wanted && html`<span class="row-of"><span role="status" class=${found.length ? "muted" : "bad"}>${found.length ? `${count(place + 1)} of ${plural(found.length, "line")}` : "not found"}</span>
        <${Button} kind="quiet" aria-label="previous line" disabled=${found.length < 2} onClick=${() => step(-1)}>↑<//><${Button} kind="quiet" aria-label="next line" disabled=${found.length < 2} onClick=${() => step(1)}>↓<//></span>`}
      <span class="grow"></span><${Button} kind="quiet" onClick=${foldAll}>${folded.size ? "Unfold all" : "Fold all"}<//>${tools}</figcaption>
    <div class="value tree ${wraps ? "wraps" : ""}" ref=${box} tabindex="0" role="group" aria-label=${name}>
      ${rows.map((one) => html`<${Line} key=${one} at=${one} line=${lines[one]} last=${lines[lines[one].end]} isFolded=${folded.has(one)} toggle=${toggle} wanted=${wanted} isChosen=${one === chosen} />`)}
      ${at < lines.length && html`<p><${Button} onClick=${() => setMost(most + DRAWN)}>${count(Math.min(DRAWN, lines.length - at))} more lines<//></p>`}</div>`;
}

function Line({ at, line, last, isFolded, toggle, wanted, isChosen }) {
  const pieces = wanted ? marked(line.pieces, wanted) : drawn(line.pieces);
  const name = line.pieces[0][0] === "key" ? line.pieces[0][1] : "this";
  return html`<div class="row-of-value ${isChosen ? "found" : ""}" data-line=${at} style=${{ "--depth": line.depth }}>${last && html`<button type="button" class="twig" aria-expanded=${!isFolded} aria-label=${`${name}, ${plural(line.many, "member")}`} onClick=${() => toggle(at)}></button>`}${pieces}${isFolded && html`<button type="button" class="folded" aria-hidden="true" tabindex="-1" onClick=${() => toggle(at)}>${count(line.many)} ...</button>${drawn(last.pieces)}`}</div>`;
}

function marked(pieces, wanted) {
  let left = MARKED;
  return pieces.map(([kind, piece]) => {
    const parts = [];
    let from = 0;
    const lower = piece.toLowerCase();
    // Where other cases have other lengths, places do not fit.
    for (let at = lower.length === piece.length ? lower.indexOf(wanted) : -1; at >= 0 && left > 0; at = lower.indexOf(wanted, from)) {
      parts.push(piece.slice(from, at), html`<mark>${piece.slice(at, at + wanted.length)}</mark>`);
      from = at + wanted.length;
      left -= 1;
    }
    parts.push(piece.slice(from));
    return html`<span class=${kind}>${parts}</span>`;
  });
}
