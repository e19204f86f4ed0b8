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

/**
 * Return the lines of JSON as people read it: { depth, pieces, end, many }. Where a line opens an object or an array of several
 * lines, `end` is the number of the line that closes it, and `many` how many members it has. Text that is no JSON is one line.
 */
export function jsonLines(text, isWhole = true) {
  const lines = [{ depth: 0, pieces: [] }];
  const open = [];
  const add = (kind, piece) => lines.at(-1).pieces.push([kind, piece]);
  for (const [kind, piece] of jsonPieces(text, isWhole)) {
    if (kind || !piece.includes("\n")) {
      add(kind, piece);
      continue;
    }
    piece.split("\n").forEach((part, at) => {
      const signs = part.trimStart();
      if (at > 0) lines.push({ depth: (part.length - signs.length) / 2, pieces: [] });
      const here = lines.length - 1;
      if (/^[}\]]/.test(signs) && open.length) Object.assign(lines[open.pop()], { end: here });
      if (signs) add("", signs);
      if (at < piece.split("\n").length - 1 && /[{[]$/.test(signs)) open.push(here);
    });
  }
  for (const line of lines) if (line.end !== undefined) line.many = 0;
  countMembers(lines);
  return lines;
}

function countMembers(lines) {
  const open = [];
  lines.forEach((line, at) => {
    while (open.length && lines[open.at(-1)].end <= at) open.pop();
    if (open.length && line.depth === lines[open.at(-1)].depth + 1 && !/^[}\]]/.test(line.pieces[0]?.[1] ?? "")) lines[open.at(-1)].many += 1;
    if (line.end !== undefined) open.push(at);
  });
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
