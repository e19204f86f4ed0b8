// The time axis: where folds lie, and that pixels and moments go together.

import assert from "node:assert/strict";
import { test } from "node:test";

import { axisOf, barOf, foldsOf, ticksOf } from "../../../src/stepwell/dashboard/static/views/axis.js";

const HOUR = 3_600_000;

function row(...segments) {
  return { segments: segments.map(([kind, from, to]) => ({ kind, from, to })) };
}

test("a sleep of a day between two steps is folded", () => {
  const rows = [row(["done", 0, 1_000]), row(["sleep", 1_000, 24 * HOUR]), row(["done", 24 * HOUR, 24 * HOUR + 500])];

  const folds = foldsOf(rows, 0, 24 * HOUR + 500, 800);

  assert.deepEqual(folds, [[1_000, 24 * HOUR]]);
});

test("a fold is parted where a sleep in it ends and a wait begins", () => {
  const rows = [row(["done", 0, 1_000]), row(["sleep", 1_000, HOUR]), row(["wait", HOUR, 3 * HOUR])];

  assert.deepEqual(foldsOf(rows, 0, 3 * HOUR, 800), [[1_000, HOUR], [HOUR, 3 * HOUR]]);
});

test("what overlaps an attempt in flight is not idle", () => {
  const rows = [row(["running", 0, null]), row(["sleep", 1_000, HOUR])];

  assert.deepEqual(foldsOf(rows, 0, 2 * HOUR, 800), []);
});

test("a short idle stretch stays", () => {
  const rows = [row(["done", 0, 10_000]), row(["done", 10_500, 20_000])];

  assert.deepEqual(foldsOf(rows, 0, 20_000, 800), []);
});

test("a stretch that takes few pixels stays, though it is long beside what is busy", () => {
  const rows = [row(["done", 0, 100], ["delay", 100, 150], ["done", 150, 200])];

  assert.deepEqual(foldsOf(rows, 0, 200, 100), []);
});

test("where nothing was busy nothing is folded", () => {
  assert.deepEqual(foldsOf([row(["sleep", 0, null])], 0, HOUR, 800), []);
});

test("a fold is 44 pixels wide, and the rest shares what is left", () => {
  const axis = axisOf(0, 2_000 + HOUR, 1_000, [[1_000, 1_000 + HOUR]]);

  const widths = axis.pieces.map((piece) => [piece.isFold, piece.width]);

  assert.deepEqual(widths, [
    [false, 458],
    [true, 44],
    [false, 458],
  ]);
});

test("a moment has a pixel, and the pixel that moment", () => {
  const axis = axisOf(0, 2_000 + HOUR, 1_000, [[1_000, 1_000 + HOUR]]);

  for (const moment of [0, 500, 1_000, 1_000 + HOUR / 2, 1_500 + HOUR, 2_000 + HOUR]) {
    assert.ok(Math.abs(axis.at(axis.x(moment)) - moment) < 1);
  }
});

test("very many folds leave room for what is busy", () => {
  const rows = Array.from({ length: 100 }, (_, n) => row(["done", n * HOUR, n * HOUR + 10]));
  const folds = foldsOf(rows, 0, 99 * HOUR + 10, 320);
  const axis = axisOf(0, 99 * HOUR + 10, 320, folds);

  assert.ok(axis.pieces.every((piece) => piece.width >= 0));
  assert.ok(Math.abs(axis.x(99 * HOUR + 10) - 320 * 0.96) < 1e-6);
});

test("ticks are at round moments, 64 pixels apart, and none is in a fold", () => {
  const folds = [[1_000, 1_000 + HOUR]];
  const axis = axisOf(0, 2_000 + HOUR, 1_000, folds);

  const ticks = ticksOf(axis, 0);

  assert.deepEqual(ticks.map((tick) => tick.at), [0, 200, 400, 600, 800, HOUR + 1_000, HOUR + 1_200, HOUR + 1_400, HOUR + 1_600, HOUR + 1_800]);
  assert.ok(ticks.every((tick, n) => n === 0 || tick.x - ticks[n - 1].x >= 64));
});

test("ticks of years are days", () => {
  const axis = axisOf(0, 400 * 24 * HOUR, 500);

  assert.ok(ticksOf(axis, 0).every((tick) => tick.at % (24 * HOUR) === 0));
});

test("a bar has at least three pixels, and one outside of the axis is none", () => {
  const axis = axisOf(1_000, 2_000, 100, [], false);

  assert.deepEqual(barOf(axis, 1_500, 1_500), { x: 50, width: 3 });
  assert.deepEqual(barOf(axis, 0, 1_500), { x: 0, width: 50 });
  assert.equal(barOf(axis, 0, 900), null);
});
