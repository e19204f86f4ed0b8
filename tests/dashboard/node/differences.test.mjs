// Two instances side by side: which steps belong together, and what differs.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { differing, folded, isUnknown, lineDiff, paired } from "../../../src/stepwell/dashboard/static/views/differences.js";

const BEGAN = 1_000_000;
const row = (key, more = {}) => ({ key, words: "complete", status: "complete", error: null, start: BEGAN, end: BEGAN + 500, attempts: [{ start: BEGAN, end: BEGAN + (more.took ?? 500) }], ...more, entry: { output: "1", config: { timeout: 1 }, ...more.entry } });
const keys = (pairs) => pairs.map(({ key, a, b }) => `${key}${a ? "A" : ""}${b ? "B" : ""}`);
const shown = (lines) => lines.map(({ sign, text, left }) => (left ? `..${left}` : `${sign || " "}${text}`));

// The command line has the same rule, and is held against the same pairs.
const PAIRS = JSON.parse(readFileSync(new URL("pairs.json", import.meta.url), "utf8"));

test("steps go together by their names, each is there once, and what only one has stands where it came", () => {
  for (const { a, b, pairs } of PAIRS) assert.deepEqual(keys(paired(...[a, b].map((names) => names.map((key) => row(key))))), pairs);
});

test("what differs is said in words", () => {
  const a = row("a-1");
  const error = { name: "ValueError", message: "no" };

  assert.deepEqual(differing({ a, b: row("a-1") }), []);
  assert.deepEqual(differing({ a, b: undefined }), ["only in A"]);
  assert.deepEqual(differing({ a: undefined, b: a }), ["only in B"]);
  assert.deepEqual(differing({ a, b: row("a-1", { entry: { output: "2", config: { timeout: 2 } } }) }), ["output", "config"]);
  assert.deepEqual(differing({ a, b: row("a-1", { words: "failed", status: "errored", error, attempts: [] }) }), ["status", "attempts", "error"]);
});

test("a duration differs when it is twice as long, and not by a moment", () => {
  assert.deepEqual(differing({ a: row("a-1", { took: 100 }), b: row("a-1", { took: 900 }) }), []);
  assert.deepEqual(differing({ a: row("a-1", { took: 9_000 }), b: row("a-1", { took: 12_000 }) }), []);
  assert.deepEqual(differing({ a: row("a-1", { took: 1_000 }), b: row("a-1", { took: 2_000 }) }), ["slower in B"]);
  assert.deepEqual(differing({ a: row("a-1", { took: 9_000 }), b: row("a-1", { took: 2_000, end: null }) }), []);
});

test("outputs of which the log has the beginning may differ all the same", () => {
  const long = row("a-1", { entry: { output: '"x[truncated output]' } });

  assert.equal(isUnknown({ a: long, b: long }), true);
  assert.equal(isUnknown({ a: row("a-1"), b: row("a-1") }), false);
});

test("lines of both are there once, and a comma makes no difference", () => {
  const lines = lineDiff(["{", '  "a": 1,', '  "b": 2', "}"], ["{", '  "a": 1,', '  "b": 3,', '  "c": 4', "}"]);

  assert.deepEqual(shown(lines), [" {", '   "a": 1,', 'A  "b": 2', 'B  "b": 3,', 'B  "c": 4', " }"]);
  assert.deepEqual(shown(lineDiff(["[", "1", "]"], ["[", "1,", "2", "]"])), [" [", " 1", "B2", " ]"]);
});

test("what is far from a difference is left out", () => {
  const same = (n) => Array.from({ length: n }, (_, at) => `l${at}`);

  const lines = folded(lineDiff([...same(9), "x"], [...same(9), "y"]));

  assert.deepEqual(shown(lines), ["..6", " l6", " l7", " l8", "Ax", "By"]);
});

test("values of very many other lines are not looked through", () => {
  const many = (sign) => Array.from({ length: 2_000 }, (_, at) => `${sign}${at}`);

  const lines = lineDiff(many("a"), many("b"));

  assert.deepEqual([lines.length, lines[1_999].sign, lines[2_000].sign], [4_000, "A", "B"]);
});
