// What stands above all tabs of a workflow.
import { html } from "../dom.js";
import { visible } from "../format.js";
import { workflowUrl } from "../router.js";

const TABS = [["instances", "Instances", undefined], ["graph", "Graph", "graph"], ["source", "Source", "source"], ["versions", "Versions", "versions"], ["schedules", "Schedules", "schedules"], ["limits", "Limits", "limits"], ["settings", "Settings", "settings"]];

export function WorkflowHead({ workflow, tab, children }) {
  return html`<nav class="crumbs" aria-label="Breadcrumb"><a href="/workflows">Workflows</a> /</nav>
    <div class="head"><h1>${visible(workflow)}</h1>${children}</div>
    <nav class="tabs" aria-label="Workflow">${TABS.map(
      ([name, word, part]) => html`<a href=${workflowUrl(workflow, part)} aria-current=${tab === name ? "page" : undefined}>${word}</a>`,
    )}</nav>`;
}
