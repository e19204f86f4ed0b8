// A field for JSON: with line numbers, and with what is wrong in words. Tab leads out of it; Ctrl-] and Ctrl-[ indent.
import { html, useMemo, useRef } from "../dom.js";
import { bytes } from "../format.js";
import { jsonProblem } from "../json.js";

const INDENT = "  ";
const NEVER = Infinity;

// What is wrong with a text, or null; empty is right, and stands for what the form says.
export const problemOf = (text) => (text.trim() === "" ? null : jsonProblem(text));

// `empty` says what no text stands for, `most` how many bytes it may have.
export function JsonField({ name, label, value, onInput, focused, kind = "short", empty = "null", most = NEVER }) {
  const lines = useRef(null);
  const problem = useMemo(() => problemOf(value), [value]);
  const size = useMemo(() => new Blob([value]).size, [value]);
  const numbers = useMemo(() => Array.from({ length: value.split("\n").length }, (_, at) => at + 1).join("\n"), [value]);
  const hear = (event) => {
    const field = event.target;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) field.form.requestSubmit();
    if (!event.ctrlKey || (event.key !== "]" && event.key !== "[")) return;
    event.preventDefault();
    indent(field, event.key === "]");
    onInput(field.value);
  };
  const of = most === NEVER ? "" : ` of ${bytes(most)}`;
  const said = problem ?? (size > most ? `${bytes(size)}, more than the ${bytes(most)} that are allowed` : value.trim() ? `JSON, ${bytes(size)}${of}` : `JSON; empty stands for ${empty}`);
  return html`<div class="field"><label for=${name}>${label}</label>
    <div class="numbered"><div class="gutter" ref=${lines} aria-hidden="true">${numbers}</div>
      <textarea id=${name} class=${kind} wrap="off" spellcheck=${false} autocomplete="off" data-focus=${focused || undefined} aria-invalid=${problem || size > most ? "true" : undefined} aria-describedby=${`${name}-says`} value=${value} onInput=${(event) => onInput(event.target.value)} onKeyDown=${hear} onScroll=${(event) => (lines.current.scrollTop = event.target.scrollTop)}></textarea></div>
    <small id="${name}-says" class=${problem || size > most ? "bad" : ""} role="status">${said}</small></div>`;
}

// Indent the lines that are selected, or take that back; where nothing is selected, put spaces in.
function indent(field, isMore) {
  const { selectionStart: from, selectionEnd: to, value } = field;
  if (isMore && from === to) return field.setRangeText(INDENT, from, to, "end");
  const begin = value.lastIndexOf("\n", from - 1) + 1;
  const lines = value.slice(begin, to).split("\n");
  const changed = lines.map((line) => (isMore ? INDENT + line : line.replace(/^ {1,2}/, ""))).join("\n");
  field.setRangeText(changed, begin, to, "select");
  // A cursor without a selection stays where it was in its line.
  if (from === to) field.selectionStart = field.selectionEnd;
}
