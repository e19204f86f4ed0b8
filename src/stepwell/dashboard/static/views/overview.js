// What goes on: how many instances are how, what failed lately, what came last.
import { html } from "../dom.js";
import { instancePath, useRead } from "../api.js";
import { count, exact, plural, visible } from "../format.js";
import { go, instanceUrl, queryText, workflowUrl } from "../router.js";
import { session } from "../session.js";
import { Copy, Duration, Empty, Loaded, Sign, StatusBadge, Table, Time, useTitle } from "../ui.js";
import { Find } from "./filters.js";
import { NextSchedules } from "./next.js";

const MINUTE_MS = 60_000;
const BAR_HEIGHT = 24;
const HOSTS_MS = 30_000;
const EXAMPLE = `class Hello(WorkflowEntrypoint):\n    async def run(self, event, step):\n        return await step.do("greet", greet)`;
const NUMBERS = [["running", ["running", "rollingBack"]], ["queued", ["queued"]], ["waiting", ["waiting"]], ["paused", ["paused", "waitingForPause"]], ["errored", ["errored"]], ["complete", ["complete"]]];

export function Overview() {
  useTitle("Overview");
  const read = useRead("/ui/overview", { topics: ["overview"] });
  const { result: standing } = useRead("/stepwell/hosts", { every: HOSTS_MS });
  return html`<div class="head"><h1>Overview</h1><${Find} set=${(found, typing) => typing || go(`/instances${queryText(found)}`)} /></div>
    <${Troubled} hosts=${standing?.hosts ?? []} /><${Loaded} read=${read}>${(found) => (found.workflows.length ? html`<${Seen} ...${found} />` : html`<${None} />`)}<//>`;
}

// Hosts that somebody has to look after.
function Troubled({ hosts }) {
  const troubled = hosts.filter((host) => host.state === "lost" || host.blocked_workers > 0);
  return troubled.length > 0 && html`<ul class="why" aria-label="Needs attention">${troubled.map((host) => html`<li key=${host.id} class="s-errored"><${Sign} of="errored" /><div>Host <a class="mono" href="/hosts">${host.name === null ? host.id : visible(host.name)}</a> ${host.state === "lost" ? html`is lost: last heartbeat <${Time} at=${host.renewed_on} />` : `has ${plural(host.blocked_workers, "worker")} that ${host.blocked_workers === 1 ? "does" : "do"} not answer`}.</div></li>`)}</ul>`;
}

function Seen({ workflows, errored, recent }) {
  const sum = (statuses) => workflows.reduce((all, one) => all + statuses.reduce((some, status) => some + (one.instances[status] ?? 0), 0), 0);
  const { result: peaks } = useRead("/ui/peaks", { every: MINUTE_MS });
  return html`<ul class="numbers">${NUMBERS.map(([word, statuses]) => html`<li class="s-${word}"><a href=${"/instances" + queryText({ status: statuses.join("\n") })}><b>${count(sum(statuses))}</b><span><${Sign} of=${word} /> ${word}</span>${peaks?.most[word] && html`<${Course} word=${word} most=${peaks.most[word]} since=${peaks.since} />`}</a></li>`)}<${Ends} /></ul>
    ${errored.length > 0 && html`<h2>Failed lately</h2><${LatestInstances} rows=${errored} label="Failed lately" isFailed />`}
    <h2>Latest instances</h2>
    ${recent.length ? html`<${LatestInstances} rows=${recent} label="Latest instances" />` : html`<${Empty} title="Nothing has run yet"><p>${session.now.can_write ? "Create an instance of one of the workflows:" : "Instances of these workflows are shown here:"}</p><p class="row-of">${workflows.slice(0, 10).map((one) => html`<a class="button" href=${workflowUrl(one.name) + (session.now.can_write ? "?create=1" : "")}>${visible(one.name)}</a>`)}</p><//>`}<${NextSchedules} />`;
}

// The most of a day, in steps. Where the server did not look there is nothing, not even the line that a zero has.
function Course({ word, most, since }) {
  const seen = most.filter((many) => many !== null);
  if (!seen.length) return null;
  const top = Math.max(1, ...seen);
  const label = `${word} in 24 h: at most ${count(Math.max(...seen))}${since ? `; seen since ${exact(since)}` : ""}`;
  const path = most.map((many, at) => (many === null ? "" : `M${at} ${BAR_HEIGHT}V${BAR_HEIGHT - Math.max(1, (BAR_HEIGHT * many) / top)}h1V${BAR_HEIGHT}z`)).join("");
  return html`<svg class="strip course" viewBox="0 0 ${most.length} ${BAR_HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${label}><title>${label}</title><path d=${path} /></svg>`;
}

// What has ended in a day, with a bar for each hour. It is asked for once a minute, as it is counted anew each time.
function Ends() {
  const { result } = useRead("/ui/ends", { every: MINUTE_MS });
  return result && ["errored", "complete"].map((status) => {
    const hours = result.hours.map((hour) => hour[status] ?? 0);
    const most = Math.max(1, ...hours);
    const said = `${count(hours.reduce((sum, one) => sum + one, 0))}${result.is_partial ? "+" : ""}`;
    const label = `${said} ${status} in 24 h; at most ${count(Math.max(...hours))} in an hour, ${count(hours.at(-1))} in the last`;
    return html`<li class="s-${status} ends"><b>${said}</b><span><${Sign} of=${status} /> ${status}, 24 h</span>
      <svg class="strip" viewBox="0 0 96 24" preserveAspectRatio="none" role="img" aria-label=${label}><title>${label}</title>${hours.map((many, at) => many > 0 && html`<rect x=${4 * at} y=${BAR_HEIGHT - Math.max(2, (BAR_HEIGHT * many) / most)} width="3" height=${BAR_HEIGHT} />`)}</svg></li>`;
  });
}

function LatestInstances({ rows, label, isFailed }) {
  const columns = [
    { name: "status", kind: "tight", cell: (row) => html`<${StatusBadge} status=${row.status} />` },
    { name: "instance", kind: "main", cell: (row) => html`<a class="row mono" href=${instanceUrl(row.workflow_name, row.id)}>${visible(row.id)}</a>` },
    { name: "workflow", kind: "named", cell: (row) => html`<a href=${workflowUrl(row.workflow_name)}>${visible(row.workflow_name)}</a>` },
    isFailed && { name: "error", kind: "grow", cell: ({ error }) => error && html`<b>${visible(error.name)}</b>: ${visible(error.message)}` },
    { name: "created", kind: "nowrap", cell: (row) => html`<${Time} at=${row.created_on} />` },
    { name: "took", kind: "named nowrap", cell: (row) => html`<${Duration} from=${row.started_on} to=${row.ended_on} />` },
  ];
  return html`<${Table} columns=${columns} rows=${rows} keyOf=${(row) => instancePath(row.workflow_name, row.id)} label=${label} />`;
}

function None() {
  return html`<${Empty} title="No workflow is loaded">
    <p>Write one and serve it; this page shows it as soon as it is there.</p>
    <pre class="block">${EXAMPLE}</pre>
    <p class="row-of"><code>stepwell dev hello.py</code><${Copy} text="stepwell dev hello.py" what="copy the command" /></p><//>`;
}
