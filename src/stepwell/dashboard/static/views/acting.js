// The dialogs of what can be done to an instance: each says what will happen. What changes comes by the live stream.
import { html, useState } from "../dom.js";
import { instancePath, onceKey, ownInstancePath, patch, post, remove } from "../api.js";
import { count, plural, visible } from "../format.js";
import { go, instanceUrl, workflowUrl } from "../router.js";
import { FINAL, Form, toast } from "../ui.js";
import { JsonField, problemOf } from "./json_field.js";
import { childOf, parted } from "./rows.js";

const NAMED = 12;

const DIALOGS = { event: SendEvent, restart: Restart, fork: Fork, terminate: Terminate, delete: Delete, rollback: GoOn, force: Force };

export function Dialogs({ dialog, ...given }) {
  const Shown = DIALOGS[dialog.kind];
  return html`<${Shown} ...${given} ...${dialog} />`;
}

export const jsonText = (value) => (value.trim() === "" ? "null" : value);
export const isWrong = (value) => problemOf(value) !== null;

// The type and payload of an event; `awaited` are the types that something waits for, where that is known.
export function EventFields({ event: { type, payload }, change, awaited }) {
  return html`<div class="field"><label for="event-type">Type</label>
      <input id="event-type" class="mono" list="event-types" required data-focus=${type === "" || undefined} value=${type} onInput=${(event) => change({ type: event.target.value.trim(), payload })} />
      <datalist id="event-types">${awaited?.map((one) => html`<option value=${one} />`)}</datalist>
      ${type && awaited && !awaited.includes(type) && html`<small>Nothing waits for it now: it is stored until a step does.</small>`}</div>
    <${JsonField} name="payload" label="Payload" value=${payload} onInput=${(text) => change({ type, payload: text })} focused=${type !== ""} />`;
}

function SendEvent({ workflow, id, instance, close, type: given = "" }) {
  const awaited = [...new Set((instance.why?.reasons ?? []).filter((reason) => reason.type === "waitForEvent" && !childOf(reason.event_type)).map((reason) => reason.event_type))];
  const [event, setEvent] = useState({ type: given || (awaited.length === 1 ? awaited[0] : ""), payload: "" });
  const { type, payload } = event;
  const [key] = useState(onceKey);
  const send = () => post(instancePath(workflow, id, "events", type), { text: jsonText(payload), headers: { "idempotency-key": key } });
  const done = () => (toast(`Event ${type} was sent.`), instance.read());
  return html`<${Form} title="Send an event" verb="Send" close=${close} act=${send} done=${done} dirty=${payload !== ""} disabled=${!type || isWrong(payload)}>
    <${EventFields} event=${event} change=${setEvent} awaited=${awaited} /><//>`;
}

const TYPES = { step: "do", sleep: "sleep", waitForEvent: "waitForEvent" };

// The steps to begin at, the one that is chosen of them, and what the API is told of it.
function useStart(instance, row) {
  const [from, setFrom] = useState(row?.key ?? "");
  const steps = instance.rows.filter((one) => one.type !== "rollback");
  const at = steps.findIndex((one) => one.key === from);
  const chosen = at < 0 ? null : steps[at];
  const { base, count: nth } = chosen ? parted(chosen.name) : {};
  return { steps, at, chosen, setFrom, from, said: chosen && { from: { name: base, count: nth, type: TYPES[chosen.type] } } };
}

const From = ({ start: { steps, chosen, from, setFrom } }) => html`<div class="field"><label for="from">From</label><select id="from" value=${from} onChange=${(event) => setFrom(event.target.value)}>
      <option value="">the beginning</option>${(steps.length > 500 ? steps.filter((one) => one.status !== "complete" || one === chosen) : steps).map((one) => html`<option value=${one.key}>${visible(one.name)}, ${one.words}</option>`)}</select></div>`;

function Fork({ workflow, id, instance, row, close }) {
  const start = useStart(instance, row);
  const [params, setParams] = useState("");
  const [isNewest, setNewest] = useState(false);
  const act = async () => {
    const said = [start.said && `"from":${JSON.stringify(start.said.from)}`, params.trim() && `"params":${params}`, isNewest && '"version_id":"newest"'];
    const { result } = await post(ownInstancePath(workflow, id, "fork"), { text: `{${said.filter(Boolean).join(",")}}` });
    toast(`Forked: this is ${result.id}.`);
    go(instanceUrl(workflow, result.id));
  };
  return html`<${Form} title="Fork" verb="Fork" close=${close} act=${act} dirty=${params !== ""} disabled=${params.trim() !== "" && isWrong(params)}>
    <${From} start=${start} />
    <p>${start.chosen ? `Are copied, with their results: ${names(start.steps.slice(0, start.at))}.` : "Nothing is copied but the params."}</p>
    <${JsonField} name="params" label="Other params" value=${params} onInput=${setParams} />
    <p><label><input type="checkbox" checked=${isNewest} onChange=${() => setNewest(!isNewest)} /> with the newest version of the workflow</label></p>
    <p class="muted">A new instance goes on from there; this one stays as it is.</p><//>`;
}

function Restart({ workflow, id, instance, row, close }) {
  const start = useStart(instance, row);
  const { steps, at, chosen } = start;
  const act = () => patch(instancePath(workflow, id, "status"), { body: { status: "restart", ...start.said } });
  const done = () => (toast(chosen ? `Restarted from ${chosen.name}.` : "Restarted."), instance.reload());
  return html`<${Form} title="Restart" verb="Restart" close=${close} act=${act} done=${done}>
    <${From} start=${start} />
    ${chosen
      ? html`<p>Stay, with their results: ${names(steps.slice(0, at))}.</p><p>Are cleared and run again: ${names(steps.slice(at))}.</p>`
      : html`<p>The results of all ${plural(steps.length, "step")} are cleared, and all is run again with the same params.</p>`}
    <p class="muted">It runs with the newest version of the workflow. What its steps did elsewhere is not undone.</p><//>`;
}

function names(rows) {
  if (rows.length === 0) return "none";
  const shown = rows.slice(0, NAMED).map((row) => visible(row.name)).join(", ");
  return rows.length > NAMED ? `${shown}, and ${count(rows.length - NAMED)} more` : shown;
}

function Terminate({ workflow, id, instance, close }) {
  const [rollback, setRollback] = useState(false);
  const flying = instance.rows.filter((row) => row.status === "running");
  const act = async () => {
    await patch(instancePath(workflow, id, "status"), { body: { status: "terminate", rollback } });
    toast(rollback ? "Is rolled back, and then terminated." : "Terminated.");
    instance.read();
  };
  return html`<${Form} title="Terminate this instance?" verb="Terminate" danger close=${close} act=${act}>
    <p>${flying.length ? html`In flight are ${names(flying)}: they are interrupted.` : "No attempt is in flight."} It can only be restarted then.</p>
    <p><label><input type="checkbox" checked=${rollback} onChange=${() => setRollback(!rollback)} /> run the rollbacks of its steps first</label></p><//>`;
}

function Delete({ workflow, id, instance, close }) {
  const act = async () => {
    await remove(instancePath(workflow, id));
    toast(`${id} was deleted.`);
    go(workflowUrl(workflow));
  };
  return html`<${Form} title="Delete this instance?" verb="Delete" danger close=${close} act=${act}>
    <p><strong class="mono">${visible(id)}</strong> goes with its log, its results and its events${FINAL.has(instance.head.status) ? "" : ", and what it does is ended"}. This cannot be undone.</p><//>`;
}

function GoOn({ workflow, id, instance, close }) {
  const act = () => post(ownInstancePath(workflow, id, "rollback"), { body: {} });
  return html`<${Form} title="Go on with the rollback" verb="Go on" close=${close} act=${act} done=${() => instance.reload()}>
    <p>The rollback that failed is tried again, then those that have not run are. The instance ends then as it had ended before.</p><//>`;
}

const FORCED = {
  retry: ["Retry now", "Its next attempt begins at once, and counts as any other."],
  skip: ["Skip", "It ends at once, and the workflow goes on behind it."],
  complete: ["Complete by hand", "It ends at once and returns this value, as if it had done so itself; an attempt in flight is interrupted."],
  fail: ["Fail by hand", "It ends at once with this error, for good; an attempt in flight is interrupted. The workflow may catch it."],
};

function Force({ workflow, id, instance, close, action, type, step }) {
  const [value, setValue] = useState("");
  const [error, setError] = useState({ name: "", message: "" });
  const [word, effect] = FORCED[action];
  const body = () => {
    const fixed = { action, step, ...(action === "skip" ? {} : { type }) };
    if (action === "fail") return JSON.stringify({ ...fixed, error });
    // Spliced in as it was typed: numbers keep their digits.
    return action === "complete" ? `${JSON.stringify(fixed).slice(0, -1)},"value":${jsonText(value)}}` : JSON.stringify(fixed);
  };
  const act = () => post(ownInstancePath(workflow, id, "step"), { text: body() });
  const done = () => (toast(`${word}: ${step}.`), instance.read());
  const change = (name) => (event) => setError({ ...error, [name]: event.target.value });
  return html`<${Form} title=${`${word}: ${visible(step)}`} verb=${word} close=${close} act=${act} done=${done} dirty=${value !== ""} disabled=${(action === "complete" && isWrong(value)) || (action === "fail" && !error.name.trim())}>
    <p>${effect} Who decided is on record.</p>
    ${action === "complete" && html`<${JsonField} name="value" label=${type === "waitForEvent" ? "Payload of the event" : "Value"} value=${value} onInput=${setValue} focused />`}
    ${action === "fail" && html`<div class="field"><label for="error-name">Name of the error</label><input id="error-name" class="mono" required data-focus value=${error.name} onInput=${change("name")} /></div>
      <div class="field"><label for="error-message">Message</label><input id="error-message" value=${error.message} onInput=${change("message")} /></div>`}<//>`;
}
