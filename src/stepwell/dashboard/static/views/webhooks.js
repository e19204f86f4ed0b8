// Webhooks: who is told, at an address, of what instances do; and what each was sent, with what came of it.
import { html, useState } from "../dom.js";
import { patch, post, remove, useRead } from "../api.js";
import { count, duration, exact, plural, visible } from "../format.js";
import { changeQuery, go, instanceUrl, queryText, toggled } from "../router.js";
import { Button, Copy, Dialog, Empty, ErrorBox, Form, Loaded, StatusBadge, Table, Time, toast, useAction, useTitle } from "../ui.js";
import { linesIn } from "./create.js";

const PATH = "/stepwell/webhooks";
const LIST_EVERY_MS = 10_000;
const EVERY_MS = 2_000;
// One stands for as many or more.
const MOST_PENDING = 10_000;
const EVENTS = ["queued", "started", "paused", "completed", "errored", "terminated"];
const STATES = { by_hand: ["paused", "disabled by hand"], gone: ["errored", "gone"] };
const OUTCOMES = { pending: ["waiting", "pending"], delivered: ["complete", "delivered"], given_up: ["errored", "given up"] };

const pathOf = (...parts) => [PATH, ...parts.map(encodeURIComponent)].join("/");
const urlOfWebhook = (id) => "/webhooks/" + encodeURIComponent(id);
// The rest of an address may be as good as a password.
const hostOf = (url) => visible(url.split("/")[2]);
const namesOf = (names) => visible(names.join(", ")) || "all";
const waiting = ({ pending }) => count(pending) + (pending >= MOST_PENDING ? "+" : "");
const eventOf = ({ type }) => visible(type.split(".").at(-1));
const wordOf = ({ status, problem }) => visible(problem ?? status ?? "not ended");
const Badge = ({ of: [status, word] }) => html`<${StatusBadge} status=${status} word=${word} />`;
const State = ({ webhook }) => html`<${Badge} of=${STATES[webhook.disabled_as] ?? ["running", "enabled"]} />`;

export function Webhooks({ id, query }) {
  return id ? html`<${Webhook} id=${id} query=${query} />` : html`<${List} query=${query} />`;
}

function List({ query }) {
  useTitle("Webhooks");
  const read = useRead("/ui/webhooks", { every: LIST_EVERY_MS });
  const [made, setMade] = useState(null);
  return html`<div class="head"><h1>Webhooks</h1>${read.result && html`<${Button} kind="primary" onClick=${() => changeQuery({ create: "1" })}>Create webhook<//>`}</div>
    <${Loaded} read=${read}>${(rows) => (rows.length ? html`<${Table} columns=${COLUMNS} rows=${rows} keyOf=${(row) => row.id} label="Webhooks" />` : html`<${Empty} title="No webhooks"><p>A program of yours is told, at an address, when instances are created, start, are paused, or end.</p><//>`)}<//>
    ${read.result && query.create && html`<${Create} close=${() => changeQuery({ create: "" }, { replace: true })} done=${({ result }) => setMade(result)} />`}
    ${made && html`<${Secret} secret=${made.secret} close=${() => go(urlOfWebhook(made.id))} />`}`;
}

const COLUMNS = [
  { name: "receiver", kind: "main", cell: (row) => html`<a class="row" href=${urlOfWebhook(row.id)}>${hostOf(row.url)}</a>` },
  { name: "state", kind: "named", cell: (row) => html`<${State} webhook=${row} />` },
  { name: "events", kind: "named", cell: (row) => namesOf(row.events) },
  { name: "workflows", kind: "named grow", cell: (row) => namesOf(row.workflows) },
  { name: "wait", kind: "named", cell: waiting },
  { name: "newest message", kind: "named", cell: ({ newest }) => (newest ? html`<${Badge} of=${OUTCOMES[newest.outcome]} /> <${Time} at=${newest.occurred_on} />${newest.attempts.length > 0 && html`<small>${wordOf(newest.attempts.at(-1))}</small>`}` : html`<span class="muted">none</span>`) },
];

function Create({ close, done }) {
  const [url, setUrl] = useState("");
  const [events, setEvents] = useState("");
  const [workflows, setWorkflows] = useState("");
  const body = { url: url.trim(), events: linesIn(events), workflows: linesIn(workflows) };
  return html`<${Form} title="Create a webhook" verb="Create" close=${close} act=${() => post(PATH, { body })} done=${done} dirty=${url || events || workflows} disabled=${!body.url}>
    <div class="field"><label for="webhook-url">Address</label><input id="webhook-url" class="mono" placeholder="https://example.com/hook" spellcheck=${false} autocomplete="off" value=${url} onInput=${(event) => setUrl(event.target.value)} /></div>
    <fieldset class="choices"><legend class="muted">Events; without one: all</legend>${EVENTS.map((name) => html`<label><input type="checkbox" checked=${linesIn(events).includes(name)} onChange=${() => setEvents(toggled(events, name))} /> ${name}</label>`)}</fieldset>
    <div class="field"><label for="webhook-workflows">Workflows; without one: all</label><textarea id="webhook-workflows" class="lines" rows="2" spellcheck=${false} value=${workflows} onInput=${(event) => setWorkflows(event.target.value)}></textarea><small>One in each line.</small></div><//>`;
}

function Secret({ secret, close }) {
  return html`<${Dialog} title="Its secret" onClose=${close}><div class="body"><p>Messages are signed with it. Give it to the receiver now: it is not shown again.</p>
    <p><code class="mono">${secret}</code> <${Copy} text=${secret} what="copy the secret" /></p></div><footer><${Button} kind="primary" data-focus onClick=${close}>Done<//></footer><//>`;
}

function Webhook({ id, query }) {
  const read = useRead(pathOf(id), { every: EVERY_MS });
  const name = read.result ? hostOf(read.result.url) : "Webhook";
  useTitle(name, "Webhooks");
  return html`<nav class="crumbs" aria-label="Breadcrumb"><a href="/webhooks">Webhooks</a> /</nav><h1>${name}</h1>
    <${Loaded} read=${read}>${(webhook) => html`<${Shown} webhook=${webhook} query=${query} reload=${read.reload} />`}<//>`;
}

function Shown({ webhook, query: { outcome, cursor }, reload }) {
  const { id, enabled } = webhook;
  const log = useRead(pathOf(id, "deliveries") + queryText({ outcome, cursor }), { every: EVERY_MS });
  const [dialog, setDialog] = useState(null);
  const close = () => setDialog(null);
  const again = () => (reload(), log.reload());
  const { run, busy, error } = useAction(async (ask, said) => (await ask(), said), (said) => (toast(said), again()));
  const button = (word, ask, said, label) => html`<${Button} aria-label=${label} onClick=${() => busy || run(ask, said)}>${word}<//>`;
  const send = (row) => enabled && button("Redeliver", () => post(pathOf(id, "deliveries", row.id, "redeliver")), "It is sent once more.", `Redeliver: ${eventOf(row)} ${visible(row.instance_id)}`);
  const facts = [
    ["address", html`<span class="mono">${visible(webhook.url)}</span>`],
    ["state", html`<${State} webhook=${webhook} />${!enabled && html` <${Time} at=${webhook.disabled_on} />`}`],
    ["events", namesOf(webhook.events)],
    ["workflows", namesOf(webhook.workflows)],
    ["messages that wait", waiting(webhook)],
    ["made", html`<${Time} at=${webhook.created_on} /> by ${visible(webhook.created_by)}`],
    webhook.earlier_secret_until && ["earlier secret signs until", exact(webhook.earlier_secret_until)],
  ];
  return html`<div class="row-of">${enabled && button("Send a test message", () => post(pathOf(id, "test")), "A test message is on its way.")}
      ${button(enabled ? "Disable" : "Enable", () => patch(pathOf(id), { body: { enabled: !enabled } }), enabled ? "Disabled: it is told nothing." : "Enabled.")}
      <${Button} onClick=${() => setDialog({ Kind: Rotate })}>New secret<//><${Button} kind="danger" onClick=${() => setDialog({ Kind: Delete })}>Delete<//></div>
    ${error && html`<${ErrorBox} error=${error} />`}
    <dl class="facts">${facts.filter(Boolean).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <h2>What it was sent</h2>
    <div class="filters"><div class="field"><label for="outcome">Outcome</label><select id="outcome" value=${outcome ?? ""} onChange=${(event) => changeQuery({ cursor: "", outcome: event.target.value })}><option value="">any</option>${Object.entries(OUTCOMES).map(([key, [, word]]) => html`<option value=${key}>${word}</option>`)}</select></div></div>
    <${Loaded} read=${log}>${(rows, info) => html`${rows.length ? html`<${Table} columns=${columnsOf(enabled, send)} rows=${rows} keyOf=${(row) => row.id} label="Deliveries" />` : html`<${Empty} title="Nothing yet" />`}
      <nav class="pager" aria-label="Pages">${cursor && html`<a class="button" href=${urlOfWebhook(id) + queryText({ outcome })}>Newest</a>`}${info.cursor && html`<a class="button" href=${urlOfWebhook(id) + queryText({ outcome, cursor: info.cursor })}>Older</a>`}</nav>`}<//>
    ${dialog?.Kind && html`<${dialog.Kind} id=${id} close=${close} done=${({ result }) => (setDialog(result), again())} />`}
    ${dialog?.secret && html`<${Secret} secret=${dialog.secret} close=${close} />`}`;
}

const columnsOf = (enabled, send) => [
  { name: "when", kind: "nowrap", cell: (row) => html`<${Time} at=${row.occurred_on} />` },
  { name: "event", kind: "named", cell: eventOf },
  { name: "instance", kind: "main", cell: ({ workflow_name: workflow, instance_id: id }) => (id ? html`<a href=${instanceUrl(workflow, id)}>${visible(id)}</a><small>${visible(workflow)}</small>` : html`<span class="muted">none</span>`) },
  { name: "outcome", kind: "named", cell: (row) => html`<${Badge} of=${OUTCOMES[row.outcome]} />` },
  { name: "attempts", kind: "named grow", cell: ({ attempts }) => html`<${Attempts} attempts=${attempts} />` },
  { name: "next try", kind: "named nowrap", cell: (row) => (row.outcome !== "pending" ? "-" : row.attempts.at(-1)?.duration_ms === null ? "under way" : enabled ? html`<${Time} at=${row.next_attempt_on} />` : "once enabled") },
  { name: "actions", kind: "tight", head: html`<span class="hidden">actions</span>`, cell: send },
];

function Attempts({ attempts }) {
  if (!attempts.length) return html`<span class="muted">none</span>`;
  return html`<details><summary>${plural(attempts.length, "attempt")}, ${wordOf(attempts.at(-1))}</summary><ul class="moments">${attempts.map((one) => html`<li>${exact(one.started_on)}: ${wordOf(one)}<small>${duration(one.duration_ms)}</small></li>`)}</ul></details>`;
}

function Rotate({ id, close, done }) {
  return html`<${Form} title="Make a new secret?" verb="Make it" close=${close} act=${() => post(pathOf(id, "secret"))} done=${done}><p>For a day messages are signed with both, so that the receiver can go over to the new one.</p><//>`;
}

function Delete({ id, close }) {
  return html`<${Form} title="Delete this webhook?" verb="Delete" danger close=${close} act=${() => remove(pathOf(id))} done=${() => (toast("The webhook was deleted."), go("/webhooks"))}><p>What waits for it and the log of what it was sent go with it. This cannot be undone.</p><//>`;
}
