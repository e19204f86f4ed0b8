// Params, output and error of an instance, digit for digit, and what was decided of it by hand.
import { html } from "../dom.js";
import { getText, instancePath, ownInstancePath, urlOf, useRead } from "../api.js";
import { exact, visible, visibleLines } from "../format.js";
import { instanceUrl } from "../router.js";
import { Copy, JsonView, Loaded } from "../ui.js";
import { memberText } from "./raw.js";
import { keyOf } from "./rows.js";

export function Data({ workflow, id, instance, query }) {
  const { head, own } = instance;
  const command = `stepwell instances describe ${workflow} ${/^[\w-]+$/.test(id) ? id : `'${id}'`}`;
  const params = useRead(`${instancePath(workflow, id)}?simple=true`, { read: getText });
  const output = useRead(head.status === "complete" ? ownInstancePath(workflow, id) : null, { read: getText });
  return html`<div class="side-by-side">
    <section><h2>Params</h2><${Loaded} read=${params} rows=${2}>${(text) => html`<${JsonView} text=${memberText(text, ["result", "params"])} name="params" />`}<//></section>
    <section><h2>${head.error ? "Error" : "Output"}</h2>${head.error
      ? html`<div class="raised"><p><strong>${visible(head.error.name)}</strong></p><pre class="wraps">${visibleLines(head.error.message)}</pre></div>`
      : head.status === "complete"
        ? html`<${Loaded} read=${output} rows=${2}>${(text) => html`<${JsonView} text=${memberText(text, ["result", "output"])} name="output" />`}<//>`
        : html`<p class="muted">There is none: the instance is ${head.status}.</p>`}</section></div>
    ${own?.progress && html`<h2>Progress</h2><${JsonView} text=${JSON.stringify(own.progress.value)} name="progress" />`}
    ${own?.decisions.length > 0 && html`<h2>Decided by hand</h2><ul>${own.decisions.map((one) => html`<li>${exact(one.timestamp)}: ${one.action} <a href=${instanceUrl(workflow, id, { ...query, step: keyOf(one.type, one.step), attempt: "" })}>${visible(one.step)}</a>, by ${visible(one.by)}</li>`)}</ul>`}
    <h2>Elsewhere</h2><p class="row-of"><a class="button" href=${urlOf(instancePath(workflow, id))} download=${`${id}.json`}>Download as JSON</a>
      <code class="mono">${visible(command)}</code><${Copy} text=${command} what="copy the command" /></p>`;
}
