// Create an instance: its id, if it is to have one of its own, and its params as JSON.
import { html, useState } from "../dom.js";
import { get, ownPath, post, urlOf, useRead, workflowPath } from "../api.js";
import { bytes, visible } from "../format.js";
import { indented, jsonProblem } from "../json.js";
import { go, instanceUrl } from "../router.js";
import { session } from "../session.js";
import { remember, remembered } from "../store.js";
import { Button, Copy, Dialog, ErrorBox, toast, useAction } from "../ui.js";

const KEPT = 10;

export function Create({ workflow, onClose }) {
  const [id, setId] = useState("");
  const [text, setText] = useState("");
  const [another, setAnother] = useState(false);
  const key = `params.${workflow}`;
  const kept = remembered(key, []);
  const problem = text.trim() ? jsonProblem(text) : null;
  const size = new Blob([text]).size;
  const isTooLarge = size > session.now.payload_size;
  const body = `{${id.trim() ? `"instance_id":${JSON.stringify(id.trim())},` : ""}"params":${text.trim() || "{}"}}`;
  const { run, busy, error } = useAction(
    () => post(workflowPath(workflow, "instances"), { text: body }),
    ({ result }) => {
      if (text.trim() && size < 100_000) remember(key, [text, ...kept.filter((one) => one !== text)].slice(0, KEPT));
      toast(`${result.id} created`);
      if (!another) return go(instanceUrl(workflow, result.id));
      setId("");
    },
  );
  const submit = (event) => {
    event.preventDefault();
    if (!problem && !isTooLarge) run();
  };
  const keys = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
    if (event.key === "]" && event.ctrlKey) {
      event.preventDefault();
      event.target.setRangeText("  ", event.target.selectionStart, event.target.selectionEnd, "end");
      setText(event.target.value);
    }
  };
  const token = session.now.wants_token ? ` -H "Authorization: Bearer $STEPWELL_TOKEN"` : "";
  const curl = () => `curl${token} -H 'content-type: application/json' -d '${body.replaceAll("'", "'\\''")}' '${location.origin}${urlOf(workflowPath(workflow, "instances")).replaceAll("'", "%27")}'`;
  return html`<${Dialog} title=${`Create an instance of ${visible(workflow)}`} wide dirty=${Boolean(text.trim() || id.trim()) && !busy} onClose=${onClose}>
    <div class="body">
      <div class="field"><label for="new-id">Id (optional)</label><input id="new-id" class="mono" spellcheck=${false} autocomplete="off" value=${id} onInput=${(event) => setId(event.target.value)} /><small>Letters, digits, - and _; without one it gets a new UUID.</small></div>
      <div class="field"><label for="new-params">Params (JSON)</label>
        <textarea id="new-params" data-focus spellcheck=${false} autocomplete="off" aria-describedby="new-params-says" aria-invalid=${problem ? "true" : undefined} placeholder="{}" value=${text} onInput=${(event) => setText(event.target.value)} onKeyDown=${keys}></textarea>
        <small id="new-params-says" class=${problem || isTooLarge ? "bad" : ""} role="status">${problem ?? (isTooLarge ? `${bytes(size)}, more than the ${bytes(session.now.payload_size)} that params may have` : text.trim() ? `${bytes(size)} of JSON` : "Empty stands for {}.")}</small></div>
      <div class="row-of"><${Button} disabled=${!text.trim() || Boolean(problem)} onClick=${() => setText(indented(text))}>Format<//>
        <${Hint} workflow=${workflow} use=${setText} />
        ${kept.length > 0 && html`<select aria-label="Params used before" value="" onChange=${(event) => event.target.value && setText(kept[Number(event.target.value)])}><option value="">Used before ...</option>${kept.map((one, at) => html`<option value=${String(at)}>${visible(one).slice(0, 60)}</option>`)}</select>`}
        <span class="row-of muted">curl<${Copy} text=${curl()} what="copy as curl" /></span></div>
      ${error && html`<${ErrorBox} error=${error} />`}
    </div>
    <footer><label><input type="checkbox" checked=${another} onChange=${() => setAnother(!another)} /> then another</label>
      <${Button} onClick=${onClose}>Cancel<//><${Button} kind="primary" busy=${busy} disabled=${Boolean(problem) || isTooLarge} onClick=${submit}>Create<//></footer><//>`;
}

// What the code reads of its params, as far as its graph tells.
function Hint({ workflow, use }) {
  const { result } = useRead(workflow, { read: payloadOf });
  if (!result?.fields) return null;
  return html`<${Button} onClick=${() => use(indented(JSON.stringify(example(result))))}>What the code reads: ${visible(Object.keys(result.fields).join(", ")).slice(0, 60)}<//>`;
}

async function payloadOf(workflow, options) {
  const { result } = await get(workflowPath(workflow, "versions") + "?per_page=1", options);
  if (!result.length) return { result: {} };
  return { result: (await get(ownPath(workflow, "versions", result[0].id, "graph"), options)).result.payload ?? {} };
}

const example = (shape) => (shape.fields ? Object.fromEntries(Object.entries(shape.fields).map(([name, inner]) => [name, example(inner)])) : null);
