// What a history tells beside the log's entries.

import assert from "node:assert/strict";
import { test } from "node:test";

import { bracketsOf, groupsOf, marksOf } from "../../../src/stepwell/dashboard/static/views/marks.js";

const AT = Date.parse("2026-11-23T10:00:00.000Z");
const record = (seq, kind, more = {}) => ({ seq, kind, at: new Date(AT + seq * 1_000).toISOString(), ...more });

test("a pause goes from where it was asked for to where somebody resumed, or ended the instance", () => {
  const { pauses } = marksOf([record(1, "pause_asked"), record(2, "paused"), record(4, "resumed"), record(5, "pause_asked"), record(9, "terminated")]);

  assert.deepEqual(pauses.map(({ from, to }) => [from - AT, to - AT]), [[1_000, 4_000], [5_000, 9_000]]);
});

test("a pause that goes on has no end", () => {
  assert.equal(marksOf([record(1, "pause_asked"), record(2, "event_received", { event_type: "a" })]).pauses[0].to, null);
});

test("an event leads to the wait that got it, also one that came before", () => {
  const { came } = marksOf([record(1, "event_received", { event_type: "a" }), record(7, "wait_ended", { step: "approval-1", event_seq: 1 }), record(8, "wait_ended", { step: "late-1", event_seq: null })]);

  assert.deepEqual([...came], [["approval-1", AT + 1_000]]);
});

test("turns are told only where a worker was lost", () => {
  const { ticks } = marksOf([record(1, "running", { lost: false }), record(2, "running", { lost: true })]);

  assert.deepEqual(ticks.map(({ at, kind }) => [at - AT, kind]), [[2_000, "lost"]]);
});

test("what was restarted is not terminated any more", () => {
  assert.equal(marksOf([record(1, "terminated")]).terminatedAt, AT + 1_000);
  assert.equal(marksOf([record(1, "terminated"), record(2, "restarted")]).terminatedAt, null);
});

const row = (name, start, end) => ({ key: name, type: "step", name, start, end });
const groups = new Map(["a", "b", "c", "d"].map((name) => [`step ${name}`, "1"]));

test("rows of one parallel node that overlap stand in a bracket", () => {
  const rows = [row("x", 0, 1), row("a", 1, 5), row("b", 1, 3), row("c", 2, null), row("y", 9, 10)];

  assert.deepEqual([...bracketsOf(rows, groups, 20)], [["a", "first"], ["b", "middle"], ["c", "last"]]);
});

test("rows that come one after the other, or alone, stand in none", () => {
  assert.deepEqual([...bracketsOf([row("a", 1, 2), row("b", 2, 3), row("x", 3, 9), row("c", 4, 5)], groups, 20)], []);
});

test("entries belong to the innermost parallel node above them", () => {
  const step = (key) => ({ type: "step_do", key });
  const graph = {
    nodes: [step("1"), { type: "parallel", key: "2", nodes: [{ type: "loop", key: "3", nodes: [step("4")] }] }],
    functions: { f: { nodes: [{ type: "parallel", key: "5", nodes: [step("6")] }] } },
    states: Object.fromEntries(["1", "4", "6"].map((key) => [key, { entries: [{ type: "step", name: `s${key}` }] }])),
  };

  assert.deepEqual([...groupsOf(graph)], [["step s4", "2"], ["step s6", "5"]]);
});
