// JSON as text: indented and in coloured pieces without being read as values, so that numbers keep their digits; and where it
// is wrong, in words with line and column.
import { visible } from "./format.js";

const TOKEN = /"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^\s{}[\],:"]+/g;

// Return pieces [class, text]. Text that is no JSON, or is cut off, comes as it is as far as that goes.
export function jsonPieces(text, isWhole = true) {
  if (isWhole && !isJson(text)) return [["", visible(text)]];
  const pieces = [];
  let depth = 0;
  let plain = "";
  const tokens = text.match(TOKEN) ?? [];
  const line = () => "\n" + "  ".repeat(depth);
  tokens.forEach((token, at) => {
    const next = tokens[at + 1];
    if (token === "{" || token === "[") {
      depth += 1;
      plain += token + (next === "}" || next === "]" ? "" : line());
    } else if (token === "}" || token === "]") {
      depth -= 1;
      const last = tokens[at - 1];
      plain += (last === "{" || last === "[" ? "" : line()) + token;
    } else if (token === ",") plain += "," + line();
    else if (token === ":") plain += ": ";
    else {
      if (plain) pieces.push(["", plain]);
      plain = "";
      pieces.push([kindOf(token, next), visible(token)]);
    }
  });
  if (plain) pieces.push(["", plain]);
  return pieces;
}

const kindOf = (token, next) => (token[0] === '"' ? (next === ":" ? "key" : "string") : /^[-\d]/.test(token) ? "number" : "word");

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export const indented = (text) => jsonPieces(text).map(([, piece]) => piece).join("");

const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

// Return null, or what is wrong: "line 3, column 14: expected , or }". Browsers have words of their own for it.
export function jsonProblem(text) {
  if (isJson(text)) return null;
  let at = 0;
  const take = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found !== null;
  };
  const space = () => take(SPACE);
  const sign = (wanted) => text[at] === wanted && ((at += 1), true);
  const fail = (wanted) => {
    throw wanted;
  };
  const value = (depth) => {
    space();
    if (depth > 500) fail("fewer levels than 500");
    if (sign("{")) members("}", () => (space(), take(STRING) || fail('a name in double quotes, or }'), space(), sign(":") || fail(":"), value(depth + 1)));
    else if (sign("[")) members("]", () => value(depth + 1));
    else if (text[at] === '"') take(STRING) || fail('the end of a string, with \\" for quotes and \\n for lines inside it');
    else if (!take(NUMBER) && !take(WORD)) fail("a value: an object, an array, a string in double quotes, a number, true, false or null");
    space();
  };
  const members = (end, one) => {
    space();
    if (sign(end)) return;
    do one();
    while ((space(), sign(",")));
    sign(end) || fail(`, or ${end}`);
  };
  try {
    value(0);
    if (at === text.length) return "no JSON that can be read";
    throw "nothing more";
  } catch (wanted) {
    const before = text.slice(0, at).split("\n");
    return `line ${before.length}, column ${before.at(-1).length + 1}: expected ${wanted}`;
  }
}
