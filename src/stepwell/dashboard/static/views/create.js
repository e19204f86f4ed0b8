// Create an instance: its id, if it is to have one of its own, and its params as JSON.
import { html, useMemo, useState } from "../dom.js";
import { curl, onceKey, ownPath, post, workflowPath } from "../api.js";
import { bytes, visible } from "../format.js";
import { indented, jsonProblem } from "../json.js";
import { go, instanceUrl } from "../router.js";
import { session } from "../session.js";
import { remember, remembered } from "../store.js";
import { Button, Copy, Form, toast } from "../ui.js";

const KEPT = 10;

export function Create({ workflow, close }) {
  const [id, setId] = useState("");
  const [text, setText] = useState("");
  const [labels, setLabels] = useState("");
  const [another, setAnother] = useState(false);
  const key = `params.${workflow}`;
  const kept = remembered(key, []);
  const problem = text.trim() ? jsonProblem(text) : null;
  const size = new Blob([text]).size;
  const isTooLarge = size > session.now.payload_size;
  const lines = labels.split("\n").map((line) => line.trim()).filter(Boolean);
  const body = `{${id.trim() ? `"instance_id":${JSON.stringify(id.trim())},` : ""}"params":${text.trim() || "{}"}${lines.length ? `,"labels":${JSON.stringify(Object.fromEntries(lines.map((line) => [line.split("=")[0], line.slice(line.indexOf("=") + 1 || line.length)])))}` : ""}}`;
  const path = (lines.length ? ownPath : workflowPath)(workflow, "instances");
  // What is sent again is done once, until it has been answered, or is changed.
  const [made, setMade] = useState("");
  const once = useMemo(onceKey, [body, made]);
  const done = ({ result }) => {
    if (text.trim() && size < 100_000) remember(key, [text, ...kept.filter((one) => one !== text)].slice(0, KEPT));
    setMade(`${result.id} created`);
    if (another) return setId("");
    toast(`${result.id} created`);
    go(instanceUrl(workflow, result.id));
  };
  const keys = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
    if (event.key === "]" && event.ctrlKey) {
      event.preventDefault();
      event.target.setRangeText("  ", event.target.selectionStart, event.target.selectionEnd, "end");
      setText(event.target.value);
    }
  };
  const foot = html`<span role="status">${made}</span><label><input type="checkbox" checked=${another} onChange=${() => setAnother(!another)} /> then another</label>`;
  return html`<${Form} title=${`Create an instance of ${visible(workflow)}`} verb="Create" wide stays=${another} close=${close} act=${() => post(path, { text: body, headers: { "idempotency-key": once } })} done=${done} dirty=${Boolean(text.trim() || id.trim() || labels.trim())} disabled=${Boolean(problem) || isTooLarge} foot=${foot}>
      <div class="field"><label for="new-id">Id (optional)</label><input id="new-id" class="mono" pattern="[\\w\\-]+" maxlength="100" spellcheck=${false} autocomplete="off" value=${id} onInput=${(event) => setId(event.target.value)} /><small>Letters, digits, - and _; without one it gets a new UUID.</small></div>
      <div class="field"><label for="new-params">Params (JSON)</label>
        <textarea id="new-params" data-focus spellcheck=${false} autocomplete="off" aria-describedby="new-params-says" aria-invalid=${problem ? "true" : undefined} placeholder="{}" value=${text} onInput=${(event) => setText(event.target.value)} onKeyDown=${keys}></textarea>
        <small id="new-params-says" class=${problem || isTooLarge ? "bad" : ""} role="status">${problem ?? (isTooLarge ? `${bytes(size)}, more than the ${bytes(session.now.payload_size)} that params may have` : text.trim() ? `${bytes(size)} of JSON` : "Empty stands for {}.")}</small></div>
      <div class="field"><label for="new-labels">Labels (optional)</label><textarea id="new-labels" class="lines" rows="2" spellcheck=${false} placeholder="customer=ann" value=${labels} onInput=${(event) => setLabels(event.target.value)}></textarea><small>One in each line.</small></div>
      <div class="row-of"><${Button} disabled=${!text.trim() || Boolean(problem)} onClick=${() => setText(indented(text))}>Format<//>
        ${kept.length > 0 && html`<select aria-label="Params used before" value="" onChange=${(event) => event.target.value && setText(kept[Number(event.target.value)])}><option value="">Used before ...</option>${kept.map((one, at) => html`<option value=${String(at)}>${visible(one).slice(0, 60)}</option>`)}</select>`}
        <span class="row-of muted">curl<${Copy} text=${curl(path, body)} what="copy as curl" /></span></div><//>`;
}
