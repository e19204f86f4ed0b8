// One instance.
import { html } from "../dom.js";
import { instancePath, useRead } from "../api.js";
import { visible } from "../format.js";
import { instanceTopic } from "../live.js";
import { workflowUrl } from "../router.js";
import { JsonView, Loaded, StatusBadge, useTitle } from "../ui.js";

export function Instance({ workflow, id }) {
  useTitle(id, workflow);
  const read = useRead(instancePath(workflow, id), { topics: [instanceTopic(workflow, id)] });
  return html`<nav class="crumbs" aria-label="Breadcrumb"><a href="/workflows">Workflows</a> / <a href=${workflowUrl(workflow)}>${visible(workflow)}</a></nav>
    <h1>${visible(id)}</h1>
    <${Loaded} read=${read}>${(found) => html`<p><${StatusBadge} status=${found.status} /></p><${JsonView} text=${JSON.stringify(found)} name="instance" />`}<//>`;
}
