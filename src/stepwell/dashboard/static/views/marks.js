// What a history tells beside the log's entries: pauses, workers that were lost, events and what they ended. No DOM: node runs its
// tests.

/** The kinds of record that marks are made of. */
export const MARKED = ["running", "pause_asked", "resumed", "event_received", "wait_ended", "terminated", "restarted", "rollback_started"];

/**
 * Return the marks of records: `pauses` { from, to }, `ticks` { at, words } on the axis, `came` the moment at which the event of a
 * wait came, by the wait's name, and `terminatedAt`. Times are milliseconds; a pause that goes on has no `to`.
 */
export function marksOf(records) {
  const marks = { pauses: [], ticks: [], came: new Map(), terminatedAt: null };
  const events = new Map();
  for (const record of records) {
    const at = Date.parse(record.at);
    const pause = marks.pauses.at(-1);
    if (record.kind === "pause_asked") marks.pauses.push({ from: at, to: null });
    else if (["resumed", "terminated", "restarted", "rollback_started"].includes(record.kind) && pause?.to === null) pause.to = at;
    if (record.kind === "terminated") marks.terminatedAt = at;
    else if (record.kind === "restarted") {
      marks.terminatedAt = null;
      marks.ticks.push({ at, kind: "restarted", words: "restarted" });
    } else if (record.kind === "running" && record.lost) marks.ticks.push({ at, kind: "lost", words: "its worker was lost; another went on" });
    else if (record.kind === "event_received") {
      events.set(record.seq, at);
      marks.ticks.push({ at, kind: "event", words: `the event ${record.event_type} came` });
    } else if (record.kind === "wait_ended" && events.has(record.event_seq)) marks.came.set(record.step, events.get(record.event_seq));
  }
  return marks;
}

/**
 * Return which rows are drawn with a bracket: by their keys "first", "middle" or "last" of rows that stand next to each other, belong
 * to the same parallel node, and overlap in time. `groups` has the node of each entry, by its type and name.
 */
export function bracketsOf(rows, groups, now) {
  const brackets = new Map();
  const nodeOf = (row) => groups.get(`${row.type} ${row.name}`);
  let begin = 0;
  let end = -Infinity;
  const close = (behind) => {
    for (let at = begin; behind - begin > 1 && at < behind; at++) brackets.set(rows[at].key, at === begin ? "first" : at === behind - 1 ? "last" : "middle");
  };
  rows.forEach((row, at) => {
    const isMore = at > 0 && nodeOf(row) !== undefined && nodeOf(row) === nodeOf(rows[at - 1]) && row.start < end;
    if (!isMore) {
      close(at);
      [begin, end] = [at, -Infinity];
    }
    end = Math.max(end, row.end ?? now);
  });
  close(rows.length);
  return brackets;
}

/** Return the parallel node of each entry of a graph that is laid over an instance, by the entry's type and name. */
export function groupsOf(graph) {
  const groups = new Map();
  const walk = (value, group) => {
    if (Array.isArray(value)) return value.forEach((one) => walk(one, group));
    if (value === null || typeof value !== "object") return;
    const mine = value.type === "parallel" ? value.key : group;
    for (const entry of (mine !== undefined && graph.states[value.key]?.entries) || []) groups.set(`${entry.type} ${entry.name}`, mine);
    Object.values(value).forEach((inner) => walk(inner, mine));
  };
  walk([graph.nodes, Object.values(graph.functions)], undefined);
  return groups;
}
