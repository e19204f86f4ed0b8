// Why an instance failed, or why it does not go on, and what can be done about it right there.
import { html } from "../dom.js";
import { clockTime, count, duration, exact, plural, visible, visibleLines } from "../format.js";
import { instanceUrl, stepUrl } from "../router.js";
import { Button, Sign, useNow } from "../ui.js";
import { childOf, culprit, keyOf } from "./rows.js";

export function Why(given) {
  const { head, why, rows, isFinal } = given.instance;
  if (head.status === "errored" || (head.rollback && head.rollback.outcome === "failed")) return html`<${Failure} ...${given} row=${culprit(rows, head.error)} />`;
  if (isFinal || !why?.reasons.length) return null;
  return html`<ul class="why" aria-label="Why it does not go on">${why.reasons.slice(0, 20).map((reason) => html`<${Reason} key=${`${reason.type} ${reason.step}`} reason=${reason} ...${given} />`)}
    ${why.reasons.length > 20 && html`<li class="muted">and ${count(why.reasons.length - 20)} more</li>`}</ul>`;
}

function Failure({ row, instance, canWrite, ask, ...given }) {
  const { error, rollback } = instance.head;
  const rollbackFailed = rollback?.outcome === "failed";
  const attempt = row?.attempts.length;
  return html`<ul class="why failure" aria-label="Error"><li class="s-errored"><${Sign} of="errored" />
    <div>
      ${error && html`<p><strong>${visible(error.name)}</strong>: ${visibleLines(error.message)}</p>`}
      ${row
        ? html`<p>Raised by <a href=${stepUrl(given, row.key, attempt || "")}>${visible(row.name)}</a>${attempt > 0 && html`, in attempt ${attempt} of ${attempt}`}.</p>`
        : error && html`<p class="muted">Raised by the workflow's own code, not by a step.</p>`}
      ${rollbackFailed && html`<p>The rollback failed${rollback.error && html`: <strong>${visible(rollback.error.name)}</strong>: ${visibleLines(rollback.error.message)}`}</p>`}
    </div>
    ${canWrite && html`<div class="row-of">
      ${rollbackFailed && html`<${Button} onClick=${() => ask({ kind: "rollback" })}>Go on with the rollback<//>`}
      ${row && row.type !== "rollback" && html`<${Button} onClick=${() => ask({ kind: "restart", row })}>Restart from this step<//>`}</div>`}
  </li></ul>`;
}

function Reason({ reason, canWrite, ask, ...given }) {
  const now = useNow(1_000);
  const step = (type) => html`<a href=${stepUrl(given, keyOf(type, reason.step))}>${visible(reason.step)}</a>`;
  const act = (word, dialog, kind = "") => canWrite && html`<${Button} kind=${kind} onClick=${() => ask(dialog)}>${word}<//>`;
  const left = (until) => html`${duration(Math.max(0, Date.parse(until) - now))} left, until ${moment(until, now)}`;
  const queue = () => html`${reason.before > 0 && `; ${plural(reason.before, "other")} before it`}${reason.until && html`; its rate allows the next start: ${left(reason.until)}`}`;
  const since = (at) => `for ${duration(now - Date.parse(at))}`;
  const makers = {
    waitForEvent: () => childOf(reason.event_type) ? ["waiting", html`Awaits the instance ${link(childOf(reason.event_type))} in ${step("waitForEvent")}.`] : ["waiting", html`Waits for the event <strong>${visible(reason.event_type)}</strong> in ${step("waitForEvent")}: ${left(reason.until)}.${reason.unmet?.length > 0 && html` What has come, and nothing waits for: <strong>${visible(reason.unmet.join(", "))}</strong>.`}`, act("Send this event", { kind: "event", type: reason.event_type }, "primary")],
    sleep: () => ["waiting", html`Sleeps in ${step("sleep")}: ${left(reason.until)}.`, act("Skip", { kind: "force", action: "skip", type: "sleep", step: reason.step })],
    retry: () => [
      "waiting",
      html`${step("step")} failed ${count(reason.failed_attempts)} ${reason.failed_attempts === 1 ? "time" : "times"}; the next try is in ${duration(Math.max(0, Date.parse(reason.until) - now))}, at ${moment(reason.until, now)}. <span class="quote">${visible(reason.error.name)}: ${visibleLines(reason.error.message)}</span>`,
      act("Retry now", { kind: "force", action: "retry", type: "step", step: reason.step }),
    ],
    attempt: () => ["running", html`Attempt ${count(reason.attempt)} of ${step("step")} is in flight ${since(reason.since)}, on <span class="mono">${visible(reason.worker)}</span>; it may take until ${moment(reason.until, now)}.`],
    workerBlocked: () => ["errored", html`The worker <span class="mono">${visible(reason.worker)}</span> does not answer ${since(reason.since)}: its code hangs.${reason.stack.length > 0 && html`<pre class="block">${reason.stack.map((line) => visibleLines(line) + "\n")}</pre>`}`],
    code: () => ["running", html`The code of the workflow runs ${since(reason.since)}, or waits for something that is no step.`],
    queued: () => ["queued", html`Is due ${since(reason.since)}, and waits for a worker${queue()}.`],
    slot: () => ["queued", html`Waits for a slot ${since(reason.since)}${reason.limit !== null && html`: ${count(reason.held)} of ${count(reason.limit)} run`}${reason.key !== null && html`, with the key <span class="mono">${visible(reason.key)}</span>`}${queue()}.`],
    sharedSlot: () => ["queued", html`${step("step")} waits ${since(reason.since)} for a slot of the limit <strong>${reason.limit}</strong>${reason.concurrency !== null && html`: ${count(reason.held)} of ${count(reason.concurrency)} run`}${!reason.is_set && ", which nobody has set"}${queue()}.`],
    noWorker: () => ["errored", html`No worker is alive that has the code of its version, <span class="mono">${reason.version.slice(0, 8)}</span>.`],
    notLoaded: () => ["errored", html`No worker has loaded <strong>${visible(reason.class_name)}</strong> of ${visible(reason.script_name)}.`],
    turnsLost: () => ["errored", html`The workers that held it died, ${count(reason.count)} ${reason.count === 1 ? "time" : "times"} in a row.`],
    resting: () => ["waiting", html`Its last turn could not go on; it is tried again: ${left(reason.until)}.`],
    paused: () => ["paused", html`Is paused ${since(reason.since)}, since ${moment(reason.since, now)}.`],
    waitingForPause: () => ["paused", html`Is to be paused, once ${reason.in_flight.length ? reason.in_flight.slice(0, 5).map(visible).join(", ") : "what is in flight"} has ended.`],
    rollingBack: () => ["rollingBack", html`Is rolled back ${since(reason.since)}${reason.step && html`, now ${step("rollback")}`}, because of <span class="quote">${visible(reason.error.name)}: ${visibleLines(reason.error.message)}</span>`],
  };
  if (!Object.hasOwn(makers, reason.type)) return null;
  const [tone, text, button] = makers[reason.type]();
  return html`<li class="s-${tone}"><${Sign} of=${tone} /><div>${text}</div>${button}</li>`;
}

/** Name an instance of another workflow. */
export function link({ workflow, id }) {
  return html`<a class="mono" href=${instanceUrl(workflow, id)}>${visible(id)}</a> of ${visible(workflow)}`;
}

/** Say a moment: the time alone on the same day. */
export function moment(at, now = Date.now()) {
  const date = new Date(at);
  return html`<time dateTime=${date.toISOString()} title=${exact(date)}>${date.toDateString() === new Date(now).toDateString() ? clockTime(date) : exact(date)}</time>`;
}
