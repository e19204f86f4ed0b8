// Params, output and error of an instance, digit for digit, and what was decided of it by hand.
import { html } from "../dom.js";
import { curl, getText, instancePath, ownInstancePath, urlOf, useRead } from "../api.js";
import { exact, visible } from "../format.js";
import { stepUrl } from "../router.js";
import { Copy, Loaded } from "../ui.js";
import { command } from "./command.js";
import { memberText } from "./raw.js";
import { useFollowing } from "./reading.js";
import { keyOf } from "./rows.js";
import { Pairs, Raised } from "./step.js";
import { JsonView } from "./value.js";

export function Data(given) {
  const { workflow, id, instance } = given;
  const { head, own } = instance;
  const params = useRead(`${instancePath(workflow, id)}?simple=true`, { read: getText });
  const output = useRead(head.status === "complete" ? ownInstancePath(workflow, id) : null, { read: getText });
  const described = useRead(ownInstancePath(workflow, id, "attributes"));
  useFollowing(instance, described.reload);
  const totals = described.result?.totals ?? {};
  return html`<div class="side-by-side">
    <section><h2>Params</h2><${Loaded} read=${params} rows=${2}>${(text) => html`<${JsonView} text=${memberText(text, ["result", "params"])} name="params" />`}<//></section>
    <section><h2>${head.error ? "Error" : "Output"}</h2>${head.error
      ? html`<${Raised} error=${head.error} />`
      : head.status === "complete"
        ? html`<${Loaded} read=${output} rows=${2}>${(text) => html`<${JsonView} text=${memberText(text, ["result", "output"])} name="output" />`}<//>`
        : html`<p class="muted">There is none: the instance is ${head.status}.</p>`}</section></div>
    ${own?.progress && html`<h2>Progress</h2><${JsonView} text=${JSON.stringify(own.progress.value)} name="progress" />`}
    ${Object.keys(totals).length > 0 && html`<h2>Totals</h2><${Pairs} pairs=${totals} />`}
    ${own?.decisions.length > 0 && html`<h2>Decided by hand</h2><ul>${own.decisions.map((one) => html`<li>${exact(one.timestamp)}: ${one.action} <a href=${stepUrl(given, keyOf(one.type, one.step))}>${visible(one.step)}</a>, by ${visible(one.by)}</li>`)}</ul>`}
    <h2>Elsewhere</h2><p class="row-of"><a class="button" href=${urlOf(instancePath(workflow, id))} download=${`${id}.json`}>Download as JSON</a>
      ${[["command", command("instances describe", [workflow, id])], ["curl", curl(instancePath(workflow, id))]].map(([what, text]) => html`<span><code class="mono">${visible(text)}</code><${Copy} text=${text} what=${what === "curl" ? "copy as curl" : "copy the command"} /></span>`)}</p>`;
}
