// The log of an instance as rows: what is drawn of each entry, and how it stands. No DOM: node runs its tests.

// What a row's address begins with; a step has its name alone.
const PREFIXES = { sleep: "sleep:", waitForEvent: "wait:", rollback: "rollback:" };
const PREFIXED = /^(?:step|sleep|wait|rollback):/;

const WORDS = {
  complete: { step: "complete", sleep: "slept", waitForEvent: "event came", rollback: "undone" },
  errored: { step: "failed", sleep: "cancelled", waitForEvent: "failed", rollback: "undoing failed" },
  running: { step: "running", rollback: "undoing" },
  waiting: { step: "waits to retry", sleep: "sleeping", waitForEvent: "waits for event", rollback: "waits to retry" },
  cut: { step: "cut off", sleep: "cut off", waitForEvent: "cut off", rollback: "cut off" },
};

const CHILD_WORDS = { waiting: "awaits instance", complete: "instance ended" };

/** Return the address of an entry in the page's URL. */
export function keyOf(type, name) {
  const prefix = PREFIXES[type] ?? (PREFIXED.test(name) ? "step:" : "");
  return prefix + name;
}

/** Return a name without its count, and the count. */
export function parted(name) {
  const found = /^(.*)-(\d+)$/s.exec(name);
  return found ? { base: found[1], count: Number(found[2]) } : { base: name, count: 1 };
}

/**
 * Return a row for each entry of a log that is a step, a rollback, a sleep or a wait.
 *
 * `endedAt` is when the instance ended, or null: nothing is in flight then. `untilByStep` says when steps are tried again.
 */
export function rowsOf(entries, endedAt, untilByStep = new Map()) {
  const rows = [];
  for (const entry of entries) {
    if (entry.type === "step" || entry.type === "rollback") rows.push(stepRow(entry, endedAt, untilByStep));
    else if (entry.type === "sleep" || entry.type === "waitForEvent") rows.push(waitRow(entry, endedAt));
  }
  return rows;
}

/** Tell whether an entry can still change. What a body cancelled may be called again by its next attempt. */
export function isOpen(entry) {
  if (entry.type === "termination") return false;
  if (entry.type === "step" || entry.type === "rollback") {
    return entry.end === null || entry.attempts.at(-1)?.error?.name === "CancelledError";
  }
  return !entry.finished || entry.error?.name === "CancelledError";
}

function stepRow(entry, endedAt, untilByStep) {
  const attempts = entry.attempts.map((attempt) => ({
    ...attempt,
    start: Date.parse(attempt.start),
    end: attempt.end === null ? null : Date.parse(attempt.end),
  }));
  const status = stepStatus(entry, attempts, endedAt);
  const end = entry.end === null ? (status === "cut" ? endedAt : null) : Date.parse(entry.end);
  const until = untilByStep.get(entry.name) ?? null;
  return {
    ...basics(entry, status),
    end,
    error: attempts.at(-1)?.error ?? null,
    attempts,
    failed: attempts.filter((attempt) => kindOf(attempt) === "failed").length,
    until: status === "waiting" ? until : null,
    segments: attemptSegments(attempts, status, endedAt),
  };
}

function stepStatus(entry, attempts, endedAt) {
  if (entry.end !== null) return entry.success ? "complete" : "errored";
  if (endedAt !== null) return "cut";
  const last = attempts.at(-1);
  return last === undefined || last.end === null ? "running" : "waiting";
}

function attemptSegments(attempts, status, endedAt) {
  const segments = [];
  attempts.forEach((attempt, index) => {
    const before = attempts[index - 1];
    if (before !== undefined && before.end !== null && attempt.start > before.end) {
      segments.push({ kind: "delay", from: before.end, to: attempt.start });
    }
    segments.push({ kind: kindOf(attempt), from: attempt.start, to: attempt.end ?? endedAt, attempt: index + 1 });
  });
  if (status === "waiting") segments.push({ kind: "delay", from: attempts.at(-1).end, to: null });
  return segments;
}

/** Return how an attempt is drawn. What the engine or the workflow ended has not failed. */
export function kindOf(attempt) {
  if (attempt.success === null) return "running";
  if (attempt.success) return "done";
  return attempt.error?.name === "AttemptInterrupted" || attempt.error?.name === "CancelledError" ? "cut" : "failed";
}

function waitRow(entry, endedAt) {
  const planned = Date.parse(entry.end);
  const isCut = !entry.finished && endedAt !== null;
  const status = entry.finished ? (entry.error ? "errored" : "complete") : isCut ? "cut" : "waiting";
  const end = entry.finished ? planned : isCut ? endedAt : null;
  const row = basics(entry, status);
  const child = childOf(entry.event_type);
  return {
    ...row,
    child,
    words: entry.error?.name === "WorkflowTimeoutError" ? "timed out" : child ? (CHILD_WORDS[status] ?? row.words) : row.words,
    end,
    error: entry.error,
    attempts: [],
    failed: 0,
    until: status === "waiting" && child === null ? planned : null,
    segments: [{ kind: entry.type === "sleep" ? "sleep" : "wait", from: row.start, to: end, ends: endingOf(entry) }],
  };
}

/** Return the instance whose end a wait is for: { workflow, id }; null if it is for an event. */
export function childOf(eventType) {
  const found = /^child:([^/]+)\/(.+)$/s.exec(eventType ?? "");
  return found && { workflow: found[1], id: found[2] };
}

function endingOf(entry) {
  if (!entry.finished || entry.type === "sleep") return null;
  return entry.error ? "clock" : "diamond";
}

function basics(entry, status) {
  return {
    key: keyOf(entry.type, entry.name),
    name: entry.name,
    type: entry.type,
    status,
    words: WORDS[status][entry.type],
    start: Date.parse(entry.start),
    entry,
  };
}

/** Return the rows that a search and a choice of types leave. */
export function filtered(rows, text, types) {
  const wanted = text.toLowerCase();
  return rows.filter(
    (row) => (types.length === 0 || types.includes(typeWord(row.type))) && row.name.toLowerCase().includes(wanted),
  );
}

/** Return how a type is called in the address and on the page. */
export function typeWord(type) {
  return { step: "do", waitForEvent: "wait" }[type] ?? type;
}

/** Return how long the attempts of a row took together, in milliseconds; of a sleep or a wait, how long it lasted. */
export function tookOf(row, now) {
  if (row.attempts.length === 0) return (row.end ?? now) - row.start;
  const end = (attempt) => attempt.end ?? row.end ?? now;
  return row.attempts.reduce((sum, attempt) => sum + Math.max(0, end(attempt) - attempt.start), 0);
}

/** Return the row that tells why an instance failed: the last that failed for good, else the last with an error. */
export function culprit(rows, error) {
  const failed = rows.filter((row) => row.type !== "rollback" && row.status === "errored" && row.error !== null);
  const same = failed.filter((row) => row.error.name === error?.name && row.error.message === error?.message);
  return latest(same) ?? (error?.name ? null : latest(failed));
}

function latest(rows) {
  return rows.reduce((last, row) => (last === null || row.end >= last.end ? row : last), null);
}
