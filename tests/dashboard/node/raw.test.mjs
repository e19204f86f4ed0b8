// Parts of JSON as their text: digit for digit.

import assert from "node:assert/strict";
import { test } from "node:test";

import { memberText } from "../../../src/stepwell/dashboard/static/views/raw.js";

test("a member keeps its digits and its escapes", () => {
  const text = '{"result":{"a":"]}\\"","output":{"n":12345678901234567890,"s":"\\u202e{"},"z":1}}';

  assert.equal(memberText(text, ["result", "output"]), '{"n":12345678901234567890,"s":"\\u202e{"}');
});

test("any value is found, and spaces do not matter", () => {
  const text = '{ "a" : [1, [2]], "b" : null , "c": -1.50, "d": "x" }';

  assert.deepEqual(["a", "b", "c", "d"].map((name) => memberText(text, [name])), ["[1, [2]]", "null", "-1.50", '"x"']);
});

test("a name inside of another member is not the one", () => {
  assert.equal(memberText('{"a":{"output":1},"b":["output"]}', ["output"]), undefined);
});

test("a string of a megabyte takes no time", () => {
  const text = JSON.stringify({ big: "x\\\"".repeat(400_000), output: 7 });

  assert.equal(memberText(text, ["output"]), "7");
});
