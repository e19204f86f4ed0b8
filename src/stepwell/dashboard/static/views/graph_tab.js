// The graph of a workflow's code, of the newest version or of another.
import { html } from "../dom.js";
import { getText, get, ownPath, urlOf, useRead, workflowPath } from "../api.js";
import { exact, visible } from "../format.js";
import { workflowTopic } from "../live.js";
import { changeQuery, workflowUrl } from "../router.js";
import { Drawing } from "../svg.js";
import { Empty, Loaded, useTitle } from "../ui.js";
import { WorkflowHead } from "./workflow_head.js";

export function WorkflowGraph({ workflow, query }) {
  useTitle("Graph", workflow);
  const versions = useRead(workflowPath(workflow, "versions") + "?per_page=100", { topics: [workflowTopic(workflow)] });
  return html`<${WorkflowHead} workflow=${workflow} tab="graph" />
    <${Loaded} read=${versions}>${(list) => {
      const version = query.version || list[0]?.id;
      if (!version) return html`<${Empty} title="No version yet" />`;
      return html`<div class="filters"><div class="field"><label for="version">Version</label>
        <select id="version" value=${version} onChange=${(event) => changeQuery({ version: event.target.value === list[0]?.id ? "" : event.target.value })}>
          ${list.map((one, at) => html`<option value=${one.id}>${one.id.slice(0, 8)}, ${exact(one.created_on)}${at ? "" : ", newest"}</option>`)}
          ${!list.some((one) => one.id === version) && html`<option value=${version}>${visible(version).slice(0, 8)}</option>`}</select></div>
        ${list.length > 1 && html`<a class="button" href=${workflowUrl(workflow, "versions")}>Compare versions</a>`}
        <a class="button" download=${`${workflow}.svg`} href=${urlOf(drawingPath(workflow, version))}>Download SVG</a></div>
        <${VersionGraph} key=${version} workflow=${workflow} version=${version} />`;
    }}<//>`;
}

const drawingPath = (workflow, version) => ownPath(workflow, "versions", version, "graph") + "?format=svg";

export function VersionGraph({ workflow, version }) {
  const read = useRead(ownPath(workflow, "versions", version, "graph"), { read: graphAndDrawing });
  return html`<${Loaded} read=${read}>${({ graph, drawing }) =>
    drawing === null ? html`<${Empty} title="There is no graph of this version"><p>${visible(graph.note)}</p><//>` : html`<${Drawing} text=${drawing} />`}<//>`;
}

async function graphAndDrawing(path, options) {
  const { result: graph } = await get(path, options);
  return { result: { graph, drawing: graph.nodes === null ? null : await getText(path + "?format=svg", options) } };
}
