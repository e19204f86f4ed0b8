// The log as rows: how each entry stands, and what is drawn of it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { culprit, filtered, isOpen, keyOf, parted, rowsOf, tookOf } from "../../../src/stepwell/dashboard/static/views/rows.js";

const AT = Date.parse("2026-11-23T10:00:00.000Z");
const iso = (ms) => new Date(AT + ms).toISOString();
const error = { name: "PaymentDeclined", message: "declined" };

function attempt(from, to, problem = null) {
  const end = to === null ? null : iso(to);
  return { start: iso(from), end, success: to === null ? null : problem === null, error: problem };
}

function step(name, attempts, ended = {}) {
  return { type: "step", name, start: attempts[0].start, end: null, success: null, output: null, attempts, ...ended };
}

test("attempts and the delays between them are segments of one row", () => {
  const tries = [attempt(0, 100, error), attempt(1_100, 1_200)];

  const [row] = rowsOf([step("charge-1", tries, { end: iso(1_200), success: true })], null);

  assert.deepEqual(
    row.segments.map(({ kind, from, to }) => [kind, from - AT, to - AT]),
    [["failed", 0, 100], ["delay", 100, 1_100], ["done", 1_100, 1_200]],
  );
  assert.deepEqual([row.status, row.failed, tookOf(row, AT)], ["complete", 1, 200]);
});

test("an attempt that the engine has ended is none that failed", () => {
  const interrupted = { name: "AttemptInterrupted", message: "The engine ended the attempt." };

  const [row] = rowsOf([step("charge-1", [attempt(0, 100, interrupted), attempt(100, null)])], null);

  assert.deepEqual([row.failed, row.segments.map(({ kind }) => kind)], [0, ["cut", "running"]]);
});

test("a step that waits for its next attempt says when that is", () => {
  const until = new Map([["charge-1", AT + 9_000]]);

  const [row] = rowsOf([step("charge-1", [attempt(0, 100, error)])], null, until);

  assert.deepEqual([row.status, row.until, row.segments.at(-1).kind], ["waiting", AT + 9_000, "delay"]);
});

test("what was open when the instance ended is cut off there", () => {
  const sleep = { type: "sleep", name: "nap-1", start: iso(0), end: iso(99_000), finished: false, error: null };

  const rows = rowsOf([step("charge-1", [attempt(0, null)]), sleep], AT + 500);

  assert.deepEqual(rows.map((row) => [row.status, row.end - AT]), [["cut", 500], ["cut", 500]]);
});

test("a wait ends with an event or with its time-out", () => {
  const wait = { type: "waitForEvent", name: "approval-1", event_type: "ok", start: iso(0), end: iso(9), finished: true };
  const late = { name: "WorkflowTimeoutError", message: "Execution timed out after 9ms" };

  const [came, timedOut] = rowsOf([{ ...wait, error: null }, { ...wait, error: late }], null);

  assert.deepEqual([came.words, came.segments[0].ends], ["event came", "diamond"]);
  assert.deepEqual([timedOut.words, timedOut.segments[0].ends], ["timed out", "clock"]);
});

test("a wait for another instance names it, and has no time-out that anybody set", () => {
  const wait = { type: "waitForEvent", name: "ship-1", event_type: "child:shipping/a/b", start: iso(0), end: iso(9), finished: false, error: null };

  const [row] = rowsOf([wait], null);

  assert.deepEqual([row.child, row.until, row.words], [{ workflow: "shipping", id: "a/b" }, null, "awaits instance"]);
});

test("a termination has no row", () => {
  assert.deepEqual(rowsOf([{ type: "termination", trigger: { source: "api" } }], AT), []);
});

test("entries of the same name and another type have addresses of their own", () => {
  const keys = ["step", "sleep", "waitForEvent", "rollback"].map((type) => keyOf(type, "a-1"));

  assert.deepEqual(keys, ["a-1", "sleep:a-1", "wait:a-1", "rollback:a-1"]);
  assert.notEqual(keyOf("step", "sleep:a-1"), keyOf("sleep", "a-1"));
});

test("a name is parted from its count, line ends and all", () => {
  assert.deepEqual(parted("a-1\n-b-12"), { base: "a-1\n-b", count: 12 });
});

test("a finished entry stays as it is, one that its body cancelled may not", () => {
  const done = step("a-1", [attempt(0, 1)], { end: iso(1), success: true });
  const cancelled = step("a-1", [attempt(0, 1, { name: "CancelledError", message: "" })], { end: iso(1), success: false });

  assert.deepEqual([isOpen(done), isOpen(cancelled), isOpen(step("a-1", [attempt(0, null)]))], [false, true, true]);
});

test("the step whose error the instance has is the culprit", () => {
  const one = step("a-1", [attempt(0, 1, error)], { end: iso(1), success: false });
  const other = step("b-1", [attempt(0, 2, { name: "Other", message: "" })], { end: iso(2), success: false });
  const rows = rowsOf([one, other], AT + 3);

  assert.equal(culprit(rows, error).name, "a-1");
  assert.equal(culprit(rows, { name: "ValueError", message: "of run itself" }), null);
});

test("rows are searched by name and chosen by type", () => {
  const sleep = { type: "sleep", name: "Charge later-1", start: iso(0), end: iso(1), finished: true, error: null };
  const rows = rowsOf([step("charge-1", [attempt(0, 1)]), sleep], null);

  assert.deepEqual(filtered(rows, "charge", []).length, 2);
  assert.deepEqual(filtered(rows, "", ["do"]).map((row) => row.name), ["charge-1"]);
});
