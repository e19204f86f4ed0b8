// Who has done what, when, and from where: the audit log, for whoever may read it.
import { html } from "../dom.js";
import { urlOf, useRead } from "../api.js";
import { visible } from "../format.js";
import { changeQuery, instanceUrl, queryText, workflowUrl } from "../router.js";
import { Empty, Loaded, Table, Time, useTitle } from "../ui.js";

const PATH = "/stepwell/audit";
const EVERY_MS = 10_000;
// All that there are, as the API names them.
const ACTIONS = ["account.change_settings", "account.limit", "instance.delete", "instance.export", "instance.force_step", "instance.fork", "instance.move", "instance.pause", "instance.restart", "instance.resume", "instance.resume_rollback", "instance.terminate", "job.cancel", "job.start", "limit.set", "limit.unset", "schedule.change", "schedule.run", "script.deploy", "script.rollback", "script.upload", "session.begin", "session.end", "token.create", "token.revoke", "triggers.delete", "triggers.merge", "triggers.replace", "webhook.change", "webhook.create", "webhook.delete", "webhook.redeliver", "webhook.rotate", "webhook.test", "workflow.delete", "workflow.put", "workflow.terminate_all"];
const TEXTS = [["workflow", "Workflow"], ["instance", "Instance"], ["token", "Id of a token"]];
const WAYS = { token: "by a token", session: "signed in", open: "no token is asked for", command: "by a command" };

export function Audit({ query }) {
  useTitle("Audit");
  const wanted = Object.fromEntries(["action", "workflow", "instance", "token"].map((name) => [name, query[name]]));
  const read = useRead(PATH + queryText({ ...wanted, cursor: query.cursor }), { every: EVERY_MS });
  const isNarrow = Object.values(wanted).some(Boolean);
  return html`<h1>Audit</h1><${Filters} query=${query} />
    <${Loaded} read=${read}>${(rows, info) => html`${rows.length ? html`<${Table} columns=${COLUMNS} rows=${rows} keyOf=${(row) => row.id} label="Audit log" />` : html`<${Empty} title=${isNarrow ? "Nothing of that was done" : "Nothing has been done"} />`}
      <nav class="pager" aria-label="Pages">${query.cursor && html`<a class="button" href=${"/audit" + queryText(wanted)}>Newest</a>`}
        ${info.cursor && html`<a class="button" href=${"/audit" + queryText({ ...wanted, cursor: info.cursor })}>Older</a>`}
        ${["csv", "ndjson"].map((format) => html`<a class="button" download href=${urlOf(PATH + queryText({ ...wanted, format }))}>${format === "csv" ? "CSV" : "NDJSON"}</a>`)}</nav>`}<//>`;
}

function Filters({ query }) {
  const set = (name) => (event) => changeQuery({ cursor: "", [name]: event.target.value.trim() });
  return html`<div class="filters"><div class="field"><label for="action">Action</label><select id="action" value=${query.action ?? ""} onChange=${set("action")}><option value="">any</option>${ACTIONS.map((action) => html`<option value=${action}>${action}</option>`)}</select></div>
    ${TEXTS.map(([name, label]) => html`<div class="field"><label for=${name}>${label}</label><input id=${name} autocomplete="off" value=${query[name] ?? ""} onChange=${set(name)} /></div>`)}</div>`;
}

const COLUMNS = [
  { name: "when", kind: "nowrap", cell: (row) => html`<${Time} at=${row.at} />` },
  { name: "who", kind: "main", cell: (row) => html`${visible(row.who)}<small>${WAYS[row.way] ?? visible(row.way)}</small>` },
  { name: "what", kind: "named nowrap", cell: (row) => html`<span class="mono">${visible(row.action)}</span>` },
  { name: "to", kind: "named", cell: (row) => html`<${Target} ...${row} />` },
  { name: "from", kind: "named", cell: (row) => html`${visible(row.address)}<small>${visible(row.agent)}</small>` },
  { name: "detail", kind: "grow", cell: ({ detail }) => Object.keys(detail).length > 0 && html`<span class="mono">${visible(JSON.stringify(detail))}</span>` },
];

function Target({ workflow_name: workflow, instance_id: instance, thing }) {
  if (instance) return html`<a href=${instanceUrl(workflow, instance)}>${visible(instance)}</a><small>${visible(workflow)}</small>`;
  return html`${workflow && html`<a href=${workflowUrl(workflow)}>${visible(workflow)}</a> `}${thing && html`<span class="mono">${visible(thing)}</span>`}`;
}
