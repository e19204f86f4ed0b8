// The graph of a workflow's code, of the newest version or of another.
import { html } from "../dom.js";
import { getText, get, ownPath, useRead, workflowPath } from "../api.js";
import { exact, visible } from "../format.js";
import { workflowTopic } from "../live.js";
import { changeQuery, go, sourceUrl, workflowUrl } from "../router.js";
import { Empty, Loaded, useTitle } from "../ui.js";
import { Canvas } from "./canvas.js";
import { Outlines } from "./graph.js";
import { nodesByKey } from "./places.js";
import { WorkflowHead } from "./workflow_head.js";

export function WorkflowGraph({ workflow, query }) {
  useTitle("Graph", workflow);
  const versions = useRead(workflowPath(workflow, "versions") + "?per_page=100", { topics: [workflowTopic(workflow)] });
  return html`<${WorkflowHead} workflow=${workflow} tab="graph" />
    <${Loaded} read=${versions}>${(list) => {
      const version = query.version || list[0]?.id;
      if (!version) return html`<${Empty} title="No version yet" />`;
      return html`<div class="filters"><${VersionChoice} list=${list} version=${version} />
        ${list.length > 1 && html`<a class="button" href=${workflowUrl(workflow, "versions")}>Compare versions</a>`}</div>
        <${VersionGraph} key=${version} workflow=${workflow} version=${version} hasKeys />`;
    }}<//>`;
}

export function VersionChoice({ list, version }) {
  const choose = (event) => changeQuery({ version: event.target.value === list[0]?.id ? "" : event.target.value, line: "", to: "" });
  return html`<div class="field"><label for="version">Version</label>
    <select id="version" value=${version} onChange=${choose}>
      ${list.map((one, at) => html`<option value=${one.id}>${one.id.slice(0, 8)}, ${exact(one.created_on)}${at ? "" : ", newest"}</option>`)}
      ${!list.some((one) => one.id === version) && html`<option value=${version}>${visible(version).slice(0, 8)}</option>`}</select></div>`;
}

// A click on a node leads to its lines in the source.
export function VersionGraph({ workflow, version, hasKeys = false }) {
  const read = useRead(ownPath(workflow, "versions", version, "graph"), { read: graphAndDrawing });
  return html`<${Loaded} read=${read}>${({ graph, drawing }) => {
    if (drawing === null) return html`<${Empty} title="There is no graph of this version"><p>${visible(graph.note)}</p><//>`;
    const choose = (key) => {
      const place = nodesByKey(graph).get(key)?.place;
      if (place) go(sourceUrl(workflow, version, place));
    };
    return html`<${Canvas} text=${drawing} name=${`${workflow}-${version.slice(0, 8)}`} hasKeys=${hasKeys} onKey=${choose} />
      <${Outlines} found=${graph} states=${{}} workflow=${workflow} />`;
  }}<//>`;
}

async function graphAndDrawing(path, options) {
  const { result: graph } = await get(path, options);
  return { result: { graph, drawing: graph.nodes === null ? null : await getText(path + "?format=svg", options) } };
}
