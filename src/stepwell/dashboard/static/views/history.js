// The records of an instance as they stand in the store: all that has happened to it, numbered.
import { html } from "../dom.js";
import { clockTime, exact, visible, visibleLines } from "../format.js";
import { stepUrl } from "../router.js";
import { Lines } from "./lines.js";
import { useHistory } from "./reading.js";
import { keyOf } from "./rows.js";

// What the menu may choose, and what the kinds of its records begin with.
const KINDS = {
  "": ["all records", [""]],
  instance: ["the instance itself", ["created", "running", "waiting", "pause", "resumed", "restarted", "terminated", "completed", "failed"]],
  attempts: ["attempts", ["attempt"]],
  steps: ["outcomes of steps", ["step"]],
  sleeps: ["sleeps", ["sleep"]],
  waits: ["waits", ["wait_"]],
  events: ["events", ["event"]],
  rollback: ["rollback", ["rollback"]],
};
const CHOICES = Object.entries(KINDS).map(([name, [said]]) => [name, said]);
const fits = (record, name) => (Object.hasOwn(KINDS, name) ? KINDS[name] : KINDS[""])[1].some((kind) => record.kind.startsWith(kind));

export function Records(given) {
  const { workflow, id, instance, query } = given;
  const { records, ...found } = useHistory(workflow, id, instance);
  return html`<${Lines} found=${{ ...found, lines: records }} name="History" file=${`${id}-history`} query=${query} param="kind" choices=${CHOICES} fits=${fits} textOf=${(record) => `${record.kind.replaceAll("_", " ")} ${record.step ?? ""} ${said(record)}`}
    draw=${(record) => html`<${Line} key=${record.seq} record=${record} ...${given} />`} none="There are no records." />`;
}

function Line({ record, ...given }) {
  const { seq, at, kind, step, step_type: type, attempt } = record;
  return html`<div class="line record ${record.error ? "error" : ""}"><time dateTime=${at} title=${exact(at)}>${clockTime(at)}</time>
    <span class="level num">${seq}</span>
    <span class="from">${step && html`<a class="clip" href=${stepUrl(given, keyOf(type, step), attempt ?? "")} title=${visible(step)}>${visible(step)}</a>`}</span>
    <span class="text"><b>${kind.replaceAll("_", " ")}</b> ${visibleLines(said(record))}</span></div>`;
}

function said({ attempt, event_type: event, event_seq: got, until, lost, action, patch, version, by, error }) {
  const parts = [attempt && `attempt ${attempt}`, event, got && `got the event of ${got}`, until && `until ${exact(until)}`, lost && "the worker before was lost", action, patch, version && `to ${version}`, by && `by ${by}`, error && `${error.name}: ${error.message}`];
  return parts.filter(Boolean).join(", ");
}
