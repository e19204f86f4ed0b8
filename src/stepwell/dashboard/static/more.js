// What is opened by a click; `later.js` loads it.
export { About } from "./views/about.js";
export { Dialogs } from "./views/acting.js";
export { Ask, AskEvent } from "./views/bulk_ask.js";
export { Create } from "./views/create.js";
export { Data } from "./views/data.js";
export { Family } from "./views/family.js";
export { Graph } from "./views/graph.js";
export { WorkflowGraph } from "./views/graph_tab.js";
export { Records } from "./views/history.js";
export { Hosts } from "./views/hosts.js";
export { Jobs } from "./views/jobs.js";
export { Limits } from "./views/limits.js";
export { Log } from "./views/log.js";
export { Schedules } from "./views/schedules.js";
export { Settings } from "./views/settings.js";
export { Source } from "./views/source.js";
export { StepPanel } from "./views/step.js";
export { Versions } from "./views/versions.js";
