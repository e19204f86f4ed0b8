// What is asked before something is done to several instances.
import { html, useState } from "../dom.js";
import { post } from "../api.js";
import { plural, visible } from "../format.js";
import { Form } from "../ui.js";
import { EventFields, isWrong, jsonText } from "./acting.js";
import { pathOf } from "./bulk.js";

// From so many instances on their number has to be typed.
const TYPED_FROM = 100;

// Which ones, in words; and whether somebody has to type how many.
function Which({ action, chosen, typed, setTyped }) {
  const fitting = chosen.rows?.filter(action.fits) ?? [];
  return html`${action.confirm && html`<p>${action.confirm}</p>`}
    ${chosen.asked ? html`<p>${chosen.words} Those that the action does not fit are left out.</p>` : html`<p class="mono">${fitting.slice(0, 5).map((row) => visible(row.id)).join(", ")}${fitting.length > 5 && ` and ${fitting.length - 5} more`}</p>`}
    ${mustType(chosen) && html`<div class="field"><label for="how-many">Type ${chosen.typed} to go on</label><input id="how-many" autocomplete="off" value=${typed} onInput=${(event) => setTyped(event.target.value)} /></div>`}`;
}

const mustType = (chosen) => chosen.asked && !(chosen.all <= TYPED_FROM);
const isTyped = (chosen, typed) => !mustType(chosen) || typed.trim() === chosen.typed;
const titleOf = ({ verb, fits }, { asked, all, rows }) => `${verb}${verb === "Send event" ? " to" : ""} ${asked && all === undefined ? "all instances that match" : plural(all ?? rows.filter(fits).length, "instance")}?`;

export function Ask({ action, chosen, close, run }) {
  const [typed, setTyped] = useState("");
  return html`<${Form} title=${titleOf(action, chosen)} verb=${action.verb} danger close=${close} disabled=${!isTyped(chosen, typed)} act=${async () => void (chosen.asked ? await run(action, chosen) : run(action, chosen))}>
    <${Which} action=${action} chosen=${chosen} typed=${typed} setTyped=${setTyped} /><//>`;
}

export function AskEvent({ action, chosen, close, run }) {
  const [typed, setTyped] = useState("");
  const [event, setEvent] = useState({ type: "", payload: "" });
  const { type, payload } = event;
  const send = (row) => post(pathOf(row, "events", type), { text: jsonText(payload) });
  return html`<${Form} title=${titleOf(action, chosen)} verb="Send" close=${close} act=${async () => void run(action, chosen, send)} dirty=${payload !== ""} disabled=${!type || isWrong(payload) || !isTyped(chosen, typed)}>
    <${EventFields} event=${event} change=${setEvent} /><${Which} action=${action} chosen=${chosen} typed=${typed} setTyped=${setTyped} /><//>`;
}
