// Two instances of a workflow, A and B: which steps belong together, what differs in them, and how two values differ, line by
// line. No DOM: node runs its tests.
import { tookOf } from "./rows.js";

// A duration differs when it is so many times the other, and so much longer.
const SLOWER = 2;
const SLOWER_MS = 1_000;
const CUT = "[truncated output]";
const STREAM = /^"\[ReadableStream/;
// A table of so many places is made to find the lines that two values share; where there are more, all between is taken for other.
const MOST_PLACES = 1_000_000;
// So many lines stand round what differs.
const AROUND = 3;

/**
 * Return the steps of both in pairs { key, a, b }, by type, name and count, in the order of A; what only B has stands where it
 * came there. Either is undefined where the other alone has it.
 */
export function paired(rows, others) {
  const places = new Map(others.map((row, at) => [row.key, at]));
  const shared = new Set(rows.filter((row) => places.has(row.key)).map((row) => row.key));
  const pairs = [];
  let at = 0;
  const onlyInB = (end) => {
    for (; at < end; at++) if (!shared.has(others[at].key)) pairs.push({ key: others[at].key, a: undefined, b: others[at] });
  };
  for (const row of rows) {
    const place = places.get(row.key);
    if (place !== undefined) onlyInB(place);
    pairs.push({ key: row.key, a: row, b: place === undefined ? undefined : others[place] });
  }
  onlyInB(others.length);
  return pairs;
}

/** Return what differs in a pair, in words; none: nothing does. What has no end yet has no duration, and no result. */
export function differing({ a, b }) {
  if (!a) return ["only in B"];
  if (!b) return ["only in A"];
  return [
    a.words !== b.words && "status",
    a.attempts.length !== b.attempts.length && "attempts",
    isOther(messageOf(a), messageOf(b)) && "error",
    a.status === "complete" && b.status === "complete" && isOther(a.entry.output, b.entry.output) && "output",
    JSON.stringify(a.entry.config) !== JSON.stringify(b.entry.config) && "config",
    slower(a, b),
  ].filter(Boolean);
}

const isOther = (one, other) => (one ?? null) !== (other ?? null);
const messageOf = ({ error }) => error && `${error.name}: ${error.message}`;

function slower(a, b) {
  if (a.end === null || b.end === null) return false;
  const [inA, inB] = [tookOf(a), tookOf(b)];
  if (Math.abs(inA - inB) < SLOWER_MS || Math.max(inA, inB) < SLOWER * Math.min(inA, inB)) return false;
  return inA > inB ? "slower in A" : "slower in B";
}

/** Tell whether the log has only the beginning of what a step returned, or only a word for it. */
export const isBeginning = (output = "null") => output.endsWith(CUT) || STREAM.test(output);

/** Tell whether two outputs seem to be the same and need not be: the log has only the beginning of both. */
export function isUnknown({ a, b }) {
  return a?.status === "complete" && b?.status === "complete" && a.entry.output === b.entry.output && isBeginning(a.entry.output);
}

/** Return the lines of two values together: { sign: "A", "B" or "", text }; those of both are there once. */
export function lineDiff(a, b) {
  let [first, lastA, lastB] = [0, a.length, b.length];
  while (first < lastA && first < lastB && isSame(a[first], b[first])) first++;
  while (lastA > first && lastB > first && isSame(a[lastA - 1], b[lastB - 1])) [lastA, lastB] = [lastA - 1, lastB - 1];
  const both = (text) => ({ sign: "", text });
  return [...a.slice(0, first).map(both), ...between(a.slice(first, lastA), b.slice(first, lastB)), ...a.slice(lastA).map(both)];
}

// A comma behind a member says only that another one follows.
const isSame = (one, other) => one === other || withoutComma(one) === withoutComma(other);
const withoutComma = (line) => (line.endsWith(",") ? line.slice(0, -1) : line);

function between(a, b) {
  const only = (sign) => (text) => ({ sign, text });
  if (a.length * b.length > MOST_PLACES) return [...a.map(only("A")), ...b.map(only("B"))];
  const width = b.length + 1;
  // How many lines what begins at each place has in common.
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) common[i * width + j] = isSame(a[i], b[j]) ? common[(i + 1) * width + j + 1] + 1 : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && isSame(a[i], b[j])) [i, j] = [i + 1, (lines.push({ sign: "", text: a[i] }), j + 1)];
    else if (j >= b.length || (i < a.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) lines.push(only("A")(a[i++]));
    else lines.push(only("B")(b[j++]));
  }
  return lines;
}

/** Return lines of which those far from any difference are left out: then there is { sign: "", left: how many }. */
export function folded(lines) {
  const near = lines.map(() => false);
  lines.forEach(({ sign }, at) => sign && near.fill(true, Math.max(0, at - AROUND), at + AROUND + 1));
  const shown = [];
  lines.forEach((line, at) => {
    if (near[at]) shown.push(line);
    else if (shown.at(-1)?.left) shown.at(-1).left += 1;
    else shown.push({ sign: "", left: 1, text: line.text });
  });
  // One line takes no more room than the word that it is left out.
  return shown.map((line) => (line.left === 1 ? { sign: "", text: line.text } : line));
}
