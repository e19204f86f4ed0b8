// A part of a JSON answer as the text that it is: what is parsed and written again loses digits of long numbers.

const STRING = /"(?:[^"\\]|\\.)*"/y;
const SPACE = /[ \t\n\r,:]*/y;
const PLAIN = /[^[\]{}",:\s]+/y;

/** Return the text of the member at a path of names in a JSON object; undefined if it has none. */
export function memberText(text, path) {
  let at = 0;
  for (const name of path) {
    at = memberAt(text, at, name);
    if (at === undefined) return undefined;
  }
  return text.slice(at, endOf(text, at));
}

/** Return where the value of a member begins in the object that begins at `at`. */
function memberAt(text, at, name) {
  at = past(SPACE, text, at);
  if (text[at] !== "{") return undefined;
  at = past(SPACE, text, at + 1);
  while (text[at] === '"') {
    const end = past(STRING, text, at);
    const found = JSON.parse(text.slice(at, end));
    at = past(SPACE, text, end);
    if (found === name) return at;
    at = past(SPACE, text, endOf(text, at));
  }
  return undefined;
}

function endOf(text, at) {
  let depth = 0;
  while (at < text.length) {
    const sign = text[at];
    if (sign === '"') at = past(STRING, text, at);
    else if (sign === "{" || sign === "[") [depth, at] = [depth + 1, at + 1];
    else if (sign === "}" || sign === "]") [depth, at] = [depth - 1, at + 1];
    else at = past(PLAIN, text, at);
    if (depth === 0) return at;
    at = past(SPACE, text, at);
  }
  return at;
}

/** Return the end of what a pattern finds right at a place, or the place behind one character. */
function past(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.test(text) ? Math.max(pattern.lastIndex, at + (pattern === SPACE ? 0 : 1)) : at + (pattern === SPACE ? 0 : 1);
}
