// Where tracebacks and nodes lead in the source.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodesByKey, tracePieces } from "../../../src/stepwell/dashboard/static/views/places.js";

const FILES = [{ path: "shop.py", text: "a\nb\n" }, { path: "lib/bank.py", text: "a\n" }, { path: "bank.py", text: "a\n" }];
const placesOf = (trace) => tracePieces(trace, FILES).filter((piece) => piece.place).map(({ place }) => `${place.file}:${place.line}`);

test("lines of the version's files lead there, by as much of the path as fits", () => {
  const trace = 'Traceback:\n  File "/srv/code/shop.py", line 2, in run\n    x\n  File "/srv/code/lib/bank.py", line 1, in pay\nE: no';

  assert.deepEqual(placesOf(trace), ["shop.py:2", "lib/bank.py:1"]);
  assert.equal(tracePieces(trace, FILES).map((piece) => piece.text).join(""), trace);
});

test("what is installed, has another name, or has no such line leads nowhere", () => {
  assert.deepEqual(placesOf('File "/x/site-packages/shop.py", line 1\nFile "/x/workshop.py", line 1\nFile "/x/shop.py", line 99'), []);
});

test("a node of a helper is found by its key", () => {
  const graph = { nodes: [{ key: "1", nodes: [{ key: "1.1" }] }], functions: { pay: { key: "pay()", nodes: [{ key: "pay.1" }] } } };

  assert.deepEqual([...nodesByKey(graph).keys()], ["1", "1.1", "pay()", "pay.1"]);
});
