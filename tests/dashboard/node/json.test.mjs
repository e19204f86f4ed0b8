// Values as lines that can be folded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonLines } from "../../../src/stepwell/dashboard/static/json.js";

const textOf = (line) => "  ".repeat(line.depth) + line.pieces.map(([, piece]) => piece).join("");

test("a line that opens something knows its end and its members", () => {
  const lines = jsonLines('{"a": [1, {"b": {}}], "c": [], "d": "{\\n["}');

  assert.deepEqual(lines.map(textOf), ["{", '  "a": [', "    1,", "    {", '      "b": {}', "    }", "  ],", '  "c": [],', '  "d": "{\\n["', "}"]);
  assert.deepEqual(lines.map(({ end, many }) => [end, many]).filter(([end]) => end !== undefined), [[9, 3], [6, 2], [5, 1]]);
});

test("what is cut off opens what nobody closes", () => {
  const lines = jsonLines('{"a": [1], "b": [2, "x', false);

  assert.deepEqual(lines.map((line) => line.end), [undefined, 3, undefined, undefined, undefined, undefined, undefined]);
});

test("numbers keep their digits, and what is no JSON is one line", () => {
  assert.deepEqual(jsonLines("[12345678901234567890]").map(textOf), ["[", "  12345678901234567890", "]"]);
  assert.deepEqual(jsonLines("a\nb").map(textOf), ["a␊b"]);
});
