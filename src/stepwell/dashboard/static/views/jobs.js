// Jobs: what the server does to all instances that match, how far it is, and what it could not change.
import { html } from "../dom.js";
import { post, useRead } from "../api.js";
import { count, visible } from "../format.js";
import { instanceUrl } from "../router.js";
import { session } from "../session.js";
import { Button, Empty, Loaded, Pager, StatusBadge, Table, Time, toast, usePages, useTitle } from "../ui.js";
import { actionOf, jobPath, useBulk } from "./bulk.js";

// One stands for as many or more.
const MOST_LEFT = 10_000;
const EVERY_MS = 2_000;
const BADGES = { complete: "complete", cancelled: "terminated", running: "running" };

export function Jobs({ query }) {
  useTitle("Jobs");
  const { page, read } = usePages(jobPath(), {}, query, { topics: ["overview"], every: EVERY_MS });
  return html`<h1>Jobs</h1>${query.job && html`<${Failed} id=${query.job} />`}
    <${Loaded} read=${read}>${(rows, info) => (rows.length ? html`<${JobTable} rows=${rows} reload=${read.reload} /><${Pager} page=${page} info=${info} url="/jobs" />` : html`<${Empty} title="No jobs" />`)}<//>`;
}

const filterWords = (filter) => Object.entries(filter).flatMap(([name, values]) => [values].flat().map((value) => `${name}=${visible(value)}`)).join(" ") || "all";

function JobTable({ rows, reload }) {
  const columns = [
    { name: "status", kind: "tight", cell: (job) => html`<${StatusBadge} status=${BADGES[job.status]} word=${job.status} />` },
    { name: "what", kind: "main", cell: (job) => html`${actionOf(job.action).verb} ${visible(job.workflow_name ?? "")} <span class="mono">${filterWords(job.filter)}</span>` },
    ...["done", "passed over"].map((name) => ({ name, kind: "named", cell: (job) => count(job[name.replace(" ", "_")]) })),
    { name: "failed", kind: "named", cell: (job) => (job.failed ? html`<a class="bad" href=${`/jobs?job=${job.id}`}>${count(job.failed)}</a>` : "0") },
    { name: "left", kind: "named", cell: ({ left }) => html`${count(left)}${left >= MOST_LEFT && "+"}` },
    { name: "begun", kind: "named nowrap", cell: (job) => html`<${Time} at=${job.created_on} /><small>by ${visible(job.created_by)}</small>` },
    session.now.can_write && { name: "actions", kind: "tight", head: html`<span class="hidden">actions</span>`, cell: (job) => job.status === "running" && html`<${Button} onClick=${() => post(jobPath(job.id, "cancel")).then(reload, (error) => toast(error.message, "bad"))}>Cancel<//>` },
  ];
  return html`<${Table} columns=${columns} rows=${rows} keyOf=${(job) => job.id} label="Jobs" />`;
}

// What a job could not change, with its reason; it can be tried again.
function Failed({ id }) {
  const read = useRead(jobPath(id));
  const bulk = useBulk(read.reload);
  return html`<${Loaded} read=${read}>${({ action, failed, failures }) => {
    const again = () => bulk.start({ ...actionOf(action), fits: () => true }, { rows: failures.map((one) => ({ workflow_name: one.workflow_name, id: one.instance_id })) });
    const columns = [
      { name: "instance", kind: "main", cell: (one) => html`<a class="row mono" href=${instanceUrl(one.workflow_name, one.instance_id)}>${visible(one.instance_id)}</a>` },
      { name: "why", kind: "grow", cell: (one) => visible(one.message) },
    ];
    return html`<h2>${count(failed)} failed</h2><${Table} columns=${columns} rows=${failures} keyOf=${(one) => `${one.workflow_name} ${one.instance_id}`} label="Failures" />
      ${session.now.can_write && failures.length > 0 && !bulk.isBusy && html`<p><${Button} onClick=${again}>Try these again<//></p>`}`;
  }}<//>${bulk.drawn}`;
}
