// Where in the source of its version something stands: nodes of a graph, and the lines of a traceback. No DOM: node runs its tests.

/** Return all nodes of a graph, by their keys. */
export function nodesByKey(graph) {
  const nodes = new Map();
  const walk = (value) => {
    if (Array.isArray(value)) return value.forEach(walk);
    if (value === null || typeof value !== "object") return;
    if (value.key) nodes.set(value.key, value);
    Object.values(value).forEach(walk);
  };
  walk([graph.nodes, Object.values(graph.functions)]);
  return nodes;
}

/** Return a place in words: `shop.py:4`. */
export const placeWords = ({ file, line }) => `${file}:${line}`;

const FRAME = /File "([^"\n]+)", line (\d+)/g;
// What is installed may have files of the same names.
const INSTALLED = /\/(?:site-packages|dist-packages|lib\/python[\d.]+)\//;

/**
 * Return a traceback in pieces { text, place }: those that name a line of one of these files have its place, { file, line }.
 * `files` are { path, text }.
 */
export function tracePieces(trace, files) {
  const pieces = [];
  let from = 0;
  for (const found of trace.matchAll(FRAME)) {
    const file = INSTALLED.test(found[1]) ? undefined : fileOf(found[1], files);
    const line = Number(found[2]);
    if (file === undefined || line > file.text.split("\n").length) continue;
    pieces.push({ text: trace.slice(from, found.index) }, { text: found[0], place: { file: file.path, line } });
    from = found.index + found[0].length;
  }
  return [...pieces, { text: trace.slice(from) }].filter((piece) => piece.text);
}

/** Return the file that a path leads to: of several, the one of which it has the most. */
function fileOf(path, files) {
  const all = files.filter((file) => `/${path}`.endsWith(`/${file.path}`));
  return all.sort((one, other) => other.path.length - one.path.length)[0];
}
