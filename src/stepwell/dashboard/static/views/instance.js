// One instance: what it is, why it failed or waits, and the tabs that show what it has done.
import { html, useEffect, useMemo, useRef, useState } from "../dom.js";
import { curl, getText, instancePath, ownInstancePath, useRead } from "../api.js";
import { count, duration, exact, plural, visible } from "../format.js";
import { useKeys } from "../keys.js";
import { later } from "../later.js";
import { changeQuery, compareUrl, go, instanceUrl, queryText, workflowUrl } from "../router.js";
import { session } from "../session.js";
import { Copy, ErrorBox, Labels, Loading, Menu, Old, SignButton, StatusBadge, Time, copyText, download, toast, useNow, useTitle } from "../ui.js";
import { Actions } from "./actions.js";
import { busyStretches } from "./axis.js";
import { command } from "./command.js";
import { Divider, PANEL, useSize } from "./divider.js";
import { useInstance } from "./reading.js";
import { Steps } from "./steps.js";
import { Timeline } from "./timeline.js";
import { walk } from "./walk.js";
import { Why } from "./why.js";
import { PHONE, useMedia } from "./window.js";

const TABS = { timeline: ["Timeline", Timeline], steps: ["Steps", Steps], graph: ["Graph", later("Graph")], log: ["Log", later("Log")], history: ["History", later("Records")], data: ["Data", later("Data")], family: ["Family", later("Family")] };
const StepPanel = later("StepPanel");
const Dialogs = later("Dialogs");
const NO_QUERY = { tab: "", step: "", attempt: "", q: "", types: "", fold: "", t0: "", t1: "", sort: "", level: "", kind: "" };

export function Instance({ workflow, id, query }) {
  const instance = useInstance(workflow, id);
  const [dialog, setDialog] = useState(null);
  const isPhone = useMedia(PHONE);
  const [panel, setPanel] = useSize(PANEL);
  const { head, own, rows, error } = instance;
  useTitle(...(query.step ? [query.step] : []), id, workflow);
  const canWrite = session.now.can_write;
  const step = (by) => void walk(workflow, id, by, query);
  useKeys({ e: () => (canWrite && head && !instance.isFinal ? setDialog({ kind: "event" }) : false), Escape: () => (query.step ? closeStep() : false), ArrowLeft: () => (query.step && document.activeElement.matches(".panel,tbody a.row") ? closeStep() : false), "[": () => step(-1), "]": () => step(1) });
  useEffect(() => setDialog(null), [workflow, id]);

  const walkTo = (by, name, path) => html`<${SignButton} label=${`${name} instance of the list`} title=${by < 0 ? "[" : "]"} path=${path} onClick=${() => step(by)} />`;
  const crumbs = html`<div class="walk"><nav class="crumbs" aria-label="Breadcrumb"><a href="/workflows">Workflows</a> / <a href=${workflowUrl(workflow)}>${visible(workflow)}</a></nav>
    <span>${walkTo(-1, "previous", "M10 3 5 8l5 5")}${walkTo(1, "next", "M6 3l5 5-5 5")}</span></div>`;
  if (!head) {
    return html`${crumbs}<h1>${visible(id)}</h1>${error ? html`<${ErrorBox} error=${error} retry=${instance.read} />` : html`<${Loading} rows=${8} />`}`;
  }
  const tab = Object.hasOwn(TABS, query.tab ?? "") ? query.tab : isPhone ? "steps" : "timeline";
  const hasFamily = own !== null && own.children.length + own.parents.length > 0;
  const Tab = TABS[tab][1];
  const given = { workflow, id, instance, query, canWrite, ask: setDialog, openStep, closeStep, isPhone };
  const open = query.step ? rows.find((row) => row.key === query.step) : undefined;
  return html`${crumbs}
    <div class="head"><h1 class="id">${visible(id)} <${Copy} text=${id} what="copy the id" /></h1>
      <div class="row-of"><${Elsewhere} workflow=${workflow} id=${id} /><${Actions} ...${given} /></div></div>
    <${Old} read=${instance} />
    <${Why} ...${given} />
    <${Facts} ...${given} />
    <${Announcer} instance=${instance} />
    <nav class="tabs" aria-label="Views">${Object.entries(TABS).map(
      ([name, [word]]) => (name !== "family" || hasFamily || tab === "family") && html`<a href=${instanceUrl(workflow, id, { ...query, ...NO_QUERY, step: query.step, tab: name === "timeline" && !isPhone ? "" : name })} aria-current=${name === tab ? "page" : undefined}>${word}${name === "steps" && head.step_count > 0 && html` <small class="muted">${count(head.step_count)}</small>`}</a>`,
    )}</nav>
    <div class=${query.step ? "split open" : "split"} style=${{ "--share": `${panel}%` }}>
      <section class="pane" aria-label=${TABS[tab][0]}><${Tab} ...${given} /></section>
      ${query.step && html`<${Divider} range=${PANEL} size=${panel} set=${setPanel} sizeAt=${(x, box) => (100 * (box.right - x)) / box.width} grows="ArrowLeft" label="width of the step" said=${`${panel} percent`} />
        <${StepPanel} key=${query.step} row=${open} close=${closeStep} ...${given} />`}
    </div>
    ${dialog && html`<${Dialogs} dialog=${dialog} close=${() => setDialog(null)} ...${given} />`}`;
}

// The same instance beside another one, in a shell, or as a file.
function Elsewhere({ workflow, id }) {
  const save = () => getText(instancePath(workflow, id)).then((text) => download(`${id}.json`, text), (error) => toast(`Not downloaded: ${error.message}`, "bad"));
  const items = [
    { word: "Compare with ...", act: () => go(compareUrl(workflow, id)) },
    { word: "Copy as a command", act: () => copyText(command("instances describe", [workflow, id])) },
    { word: "Copy as curl", act: () => copyText(curl(instancePath(workflow, id))) },
    { word: "Download as JSON", act: save },
  ];
  return html`<${Menu} label="elsewhere" items=${items} />`;
}

function openStep(key, attempt = "") {
  changeQuery({ step: key, attempt });
}

function closeStep() {
  const key = new URLSearchParams(location.search).get("step");
  changeQuery({ step: "", attempt: "" });
  // Focus goes back to the row that was opened.
  requestAnimationFrame(() => [...document.querySelectorAll("[data-step]")].find((link) => link.dataset.step === key)?.focus());
}

function Facts({ workflow, id, instance }) {
  const { head, own, rows, isFinal } = instance;
  const { result: kept } = useRead(isFinal ? ownInstancePath(workflow, id, "retention") : null);
  const now = useNow(isFinal ? 0 : 1_000);
  const end = head.end && isFinal ? Date.parse(head.end) : now;
  const begin = head.start ? Date.parse(head.start) : null;
  const created = own?.created_on ?? head.queued;
  // How long at least one attempt was in flight, as far as has been read.
  const busy = useMemo(() => busyStretches(rows, 0, isFinal ? end : Date.now()).reduce((sum, [from, to]) => sum + to - from, 0), [rows]);
  const attempts = rows.reduce((sum, row) => sum + row.attempts.length, 0);
  const failed = rows.reduce((sum, row) => sum + row.failed, 0);
  const facts = [
    ["status", html`<${StatusBadge} status=${head.status} />`],
    ["created", html`<${Time} at=${created} />`],
    begin === null ? null : ["started", html`<${Time} at=${head.start} />`],
    head.end && isFinal ? ["ended", html`<${Time} at=${head.end} />`] : null,
    kept?.kept_until && ["kept until", html`${exact(kept.kept_until)} <span class="muted"><${Time} at=${kept.kept_until} /></span>`],
    ["took", html`<span class="num">${duration(begin === null ? now - Date.parse(head.queued) : end - begin)}</span><span class="muted">${begin === null ? " queued" : `, ${duration(busy)} working`}</span>`],
    ["steps", html`${count(head.step_count)}${attempts > 0 && html`<span class="muted">, ${plural(attempts, "attempt")}${failed > 0 && html`, <span class="bad">${count(failed)} failed</span>`}</span>`}`],
    ["trigger", html`${visible(head.trigger.source)}${head.schedule && html` <code>${visible(head.schedule.cron)}</code> <span class="muted">for ${exact(head.schedule.scheduledTime)}</span>`}`],
    ["version", html`<a class="mono" href=${`${workflowUrl(workflow, "graph")}?version=${head.versionId}`}>${head.versionId.slice(0, 8)}</a>`],
    own?.parents.length ? ["awaited by", html`<a class="mono" href=${instanceUrl(own.parents[0].workflow, own.parents[0].id)}>${visible(own.parents[0].id)}</a>${own.parents.length > 1 && html` <span class="muted">and ${own.parents.length - 1} more</span>`}`] : null,
    own && Object.keys(own.labels).length > 0 && ["labels", html`<${Labels} labels=${own.labels} urlOf=${(label) => workflowUrl(workflow) + queryText({ label })} />`],
  ];
  return html`<dl class="facts">${facts.filter(Boolean).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    ${own?.progress && html`<${Progress} progress=${own.progress} />`}`;
}

// For those who hear the page: what became of it, and of which step, at most once in five seconds.
function Announcer({ instance }) {
  const { head, rows } = instance;
  const [said, setSaid] = useState("");
  const before = useRef({ status: head.status, at: 0 });
  const failed = rows.filter((row) => row.failed > 0).length;
  useEffect(() => {
    const mine = before.current;
    if (mine.status === head.status && (mine.failed ?? failed) === failed) return void (mine.failed = failed);
    const last = rows.findLast((row) => row.failed > 0);
    const text = failed > (mine.failed ?? failed) ? `step ${visible(last.name)} failed, attempt ${last.failed}` : `is ${head.status} now`;
    const timer = setTimeout(() => (setSaid(text), (mine.at = Date.now())), Math.max(0, mine.at + 5_000 - Date.now()));
    Object.assign(mine, { status: head.status, failed });
    return () => clearTimeout(timer);
  }, [head.status, failed]);
  return html`<p class="hidden" role="status" aria-live="polite">${said}</p>`;
}

function Progress({ progress }) {
  const { value, at } = progress;
  const percent = typeof value === "object" && value !== null ? value.percent : value;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return html`<p class="progress"><span class="muted">progress</span> ${typeof percent === "number" && html`<progress max="100" value=${percent} aria-label="progress"></progress> `}<code>${visible(text.slice(0, 300))}</code> <${Time} at=${at} /></p>`;
}
