// Create an instance: its id, if it is to have one of its own, its params as JSON, its labels and how long it is kept.
import { html, useMemo, useState } from "../dom.js";
import { curl, getText, instancePath, onceKey, ownPath, post, workflowPath } from "../api.js";
import { visible } from "../format.js";
import { indented } from "../json.js";
import { go, instanceUrl } from "../router.js";
import { session } from "../session.js";
import { forget, remember, remembered } from "../store.js";
import { Button, Copy, ErrorBox, Form, toast, useAction } from "../ui.js";
import { command } from "./command.js";
import { JsonField, problemOf } from "./json_field.js";
import { memberText } from "./raw.js";

const KEPT = 10;
const KEPT_SIZE = 100_000;
const ID = /^[\w-]{0,100}$/;

export const linesIn = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
const pair = (line) => [line.split("=")[0], line.slice(line.indexOf("=") + 1 || line.length)];

export function Create({ workflow, close }) {
  const [id, setId] = useState("");
  const [text, setText] = useState("");
  const [before, setBefore] = useState(null);
  const [labels, setLabels] = useState("");
  const [success, setSuccess] = useState("");
  const [failure, setFailure] = useState("");
  const [another, setAnother] = useState(false);
  const most = session.now.payload_size;
  const isWrong = useMemo(() => problemOf(text) !== null || new Blob([text]).size > most, [text]);
  const lines = linesIn(labels);
  const retention = { ...(success.trim() && { success_retention: success.trim() }), ...(failure.trim() && { error_retention: failure.trim() }) };
  const rest = { ...(id.trim() && { instance_id: id.trim() }), ...(Object.keys(retention).length && { instance_retention: retention }), ...(lines.length && { labels: Object.fromEntries(lines.map(pair)) }) };
  // Spliced in as it was typed: numbers keep their digits.
  const body = `{"params":${text.trim() || "{}"}${Object.entries(rest).map(([name, value]) => `,"${name}":${JSON.stringify(value)}`).join("")}}`;
  const path = (lines.length ? ownPath : workflowPath)(workflow, "instances");
  const typed = command("trigger", [workflow, ...(text.trim() ? [text.trim()] : [])], { id: id.trim(), label: lines, "success-retention": success.trim(), "error-retention": failure.trim() });
  // What is sent again is done once, until it has been answered, or is changed.
  const [made, setMade] = useState("");
  const once = useMemo(onceKey, [body, made]);
  const done = ({ result }) => {
    keep(workflow, text);
    setMade(`${result.id} created`);
    if (another) return setId("");
    toast(`${result.id} created`);
    go(instanceUrl(workflow, result.id));
  };
  const replace = (next) => (setBefore(text), setText(next));
  const foot = html`<span role="status">${made}</span><label><input type="checkbox" checked=${another} onChange=${() => setAnother(!another)} /> then another</label>`;
  const field = (name, label, value, set, more) => html`<div class="field"><label for=${name}>${label}</label><input id=${name} value=${value} onInput=${(event) => set(event.target.value)} ...${more} /></div>`;
  return html`<${Form} title=${`Create an instance of ${visible(workflow)}`} verb="Create" wide stays=${another} close=${close} act=${() => post(path, { text: body, headers: { "idempotency-key": once } })} done=${done} dirty=${[id, text, labels, success, failure].some((one) => one.trim())} disabled=${isWrong} foot=${foot}>
      <div class="field"><label for="new-id">Id (optional)</label><input id="new-id" class="mono" pattern="[\\w\\-]+" spellcheck=${false} autocomplete="off" aria-describedby="new-id-says" aria-invalid=${ID.test(id) ? undefined : "true"} value=${id} onInput=${(event) => setId(event.target.value)} />
        <small id="new-id-says" class=${ID.test(id) ? "" : "bad"}>${id.length > 100 ? `${id.length} characters, of 100 at most` : "Letters, digits, - and _; without one it gets a new UUID."}</small></div>
      <${JsonField} name="new-params" label="Params (JSON)" value=${text} onInput=${setText} focused kind="" empty="{}" most=${most} />
      <div class="row-of"><${Button} disabled=${!text.trim() || isWrong} onClick=${() => replace(indented(text))}>Format<//>
        ${before !== null && html`<${Button} kind="quiet" onClick=${() => replace(before)}>Undo<//>`}
        <${Before} workflow=${workflow} use=${replace} />
        <span class="row-of muted">command<${Copy} text=${typed} what="copy as a command" /> curl<${Copy} text=${curl(path, body)} what="copy as curl" /></span></div>
      <${SameAs} workflow=${workflow} use=${replace} />
      <div class="field"><label for="new-labels">Labels (optional)</label><textarea id="new-labels" class="lines" rows="2" spellcheck=${false} placeholder="customer=ann" value=${labels} onInput=${(event) => setLabels(event.target.value)}></textarea><small>One in each line.</small></div>
      <details><summary>How long it is kept</summary><div class="side-by-side">
        ${field("new-success", "Once it is complete", success, setSuccess, { placeholder: "7 days" })}${field("new-failure", "Once it has failed or was terminated", failure, setFailure, { placeholder: "30 days" })}</div></details><//>`;
}

function keep(workflow, text) {
  const key = `params.${workflow}`;
  if (text.trim() && text.length < KEPT_SIZE && remembered("keeps_params", true)) remember(key, [text, ...remembered(key, []).filter((one) => one !== text)].slice(0, KEPT));
}

// The params that were used last here, and whether the browser is to keep them.
function Before({ workflow, use }) {
  const [isKept, setKept] = useState(remembered("keeps_params", true));
  const kept = isKept ? remembered(`params.${workflow}`, []) : [];
  const change = () => {
    if (isKept) forget("params.");
    remember("keeps_params", !isKept);
    setKept(!isKept);
  };
  return html`${kept.length > 0 && html`<select aria-label="Params used before" value="" onChange=${(event) => event.target.value && use(kept[Number(event.target.value)])}><option value="">Used before ...</option>${kept.map((one, at) => html`<option value=${String(at)}>${visible(one).slice(0, 60)}</option>`)}</select>`}
    <label><input type="checkbox" checked=${isKept} onChange=${change} /> remember the last ${KEPT} here</label>`;
}

function SameAs({ workflow, use }) {
  const [id, setId] = useState("");
  const read = useAction(async () => {
    const params = memberText(await getText(`${instancePath(workflow, id.trim())}?simple=true`), ["result", "params"]);
    use(indented(params ?? "{}"));
  });
  const hear = (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (id.trim()) read.run();
  };
  return html`<div class="field"><label for="new-like">Params of an instance</label><span class="row-of"><input id="new-like" class="mono" placeholder="its id" spellcheck=${false} autocomplete="off" value=${id} onInput=${(event) => setId(event.target.value)} onKeyDown=${hear} /><${Button} busy=${read.busy} disabled=${!id.trim()} onClick=${() => read.run()}>Use them<//></span>
    ${read.error && html`<${ErrorBox} error=${read.error} />`}</div>`;
}
