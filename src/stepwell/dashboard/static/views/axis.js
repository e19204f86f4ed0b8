// The time axis of the waterfall: piecewise linear, with idle stretches folded. No DOM: node runs its tests.
//
// A stretch is idle while no attempt is in flight. It is folded when it is longer than a tenth of the busy time and
// would take more than 80 pixels, and than a second. All times are milliseconds.

const FOLD_WIDTH = 44;
const TICK_GAP = 64;

const FOLDED_FROM = 80;
const IDLE_SHARE = 0.1;
const HEADROOM = 0.04;
const LEAST_MS = 1_000;
const MOST_EDGES = 3;
const LABEL_WIDTH = 56;
const IN_FLIGHT = new Set(["done", "failed", "running", "cut"]);

/** Return the stretches within `from` and `to` in which an attempt is in flight: apart, and in their order. */
export function busyStretches(rows, from, to) {
  const stretches = [];
  for (const row of rows) {
    for (const segment of row.segments) {
      if (!IN_FLIGHT.has(segment.kind)) continue;
      const start = Math.max(segment.from, from);
      const end = Math.min(segment.to ?? to, to);
      if (end >= start) stretches.push([start, end]);
    }
  }
  stretches.sort((one, other) => one[0] - other[0]);
  const merged = [];
  for (const [start, end] of stretches) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = Math.max(last[1], end);
    else merged.push([start, end]);
  }
  return merged;
}

/** Return the idle stretches between the busy ones. */
function idleStretches(busy, from, to) {
  const idle = [];
  let at = from;
  for (const [start, end] of busy) {
    if (start > at) idle.push([at, start]);
    at = Math.max(at, end);
  }
  if (to > at) idle.push([at, to]);
  return idle;
}

/** Return the stretches to fold on an axis of so many pixels, in their order. Where nothing was busy none is. */
export function foldsOf(rows, from, to, width) {
  const busy = busyStretches(rows, from, to);
  const busyMs = busy.reduce((sum, [start, end]) => sum + end - start, 0);
  if (busy.length === 0) return [];
  const byLength = idleStretches(busy, from, to).sort((one, other) => lengthOf(other) - lengthOf(one));
  const folds = [];
  let unfoldedMs = to - from;
  for (const stretch of byLength) {
    const pixels = width - folds.length * FOLD_WIDTH;
    if (lengthOf(stretch) < LEAST_MS || lengthOf(stretch) <= busyMs * IDLE_SHARE || (lengthOf(stretch) / unfoldedMs) * pixels <= FOLDED_FROM) break;
    folds.push(stretch);
    unfoldedMs -= lengthOf(stretch);
  }
  return folds.sort((one, other) => one[0] - other[0]).flatMap((fold) => parts(fold, rows));
}

/** Return a fold in parts, where some few sleeps and waits begin or end in it: each of them can be seen then. */
function parts(fold, rows) {
  const edges = new Set();
  for (const { segments } of rows) {
    for (const { from, to } of segments) {
      for (const edge of [from, to ?? fold[1]]) if (edge - fold[0] >= LEAST_MS && fold[1] - edge >= LEAST_MS) edges.add(edge);
    }
  }
  const apart = [...edges].sort((one, other) => one - other).filter((edge, at, all) => at === 0 || edge - all[at - 1] >= LEAST_MS);
  if (apart.length > MOST_EDGES) return [fold];
  const bounds = [fold[0], ...apart, fold[1]];
  return bounds.slice(1).map((bound, at) => [bounds[at], bound]);
}

function lengthOf([start, end]) {
  return end - start;
}

/**
 * Return the axis from one moment to another on so many pixels: its `pieces`, `x` of a moment, and `at` of a pixel.
 *
 * A piece is { from, to, x, width, isFold }. `hasHeadroom` leaves a little room at the right.
 */
export function axisOf(from, to, width, folds = [], hasHeadroom = true) {
  const end = Math.max(to, from + 1);
  const room = width * (hasHeadroom ? 1 - HEADROOM : 1);
  const folded = folds.reduce((sum, fold) => sum + lengthOf(fold), 0);
  // Many folds on a narrow axis share what there is.
  const foldWidth = Math.min(FOLD_WIDTH, folds.length === 0 ? 0 : (room * 0.6) / folds.length);
  const unfolded = end - from - folded;
  const scale = unfolded > 0 ? (room - folds.length * foldWidth) / unfolded : 0;
  const pieces = [];
  let [at, x] = [from, 0];
  const add = (until, pixels, isFold) => {
    pieces.push({ from: at, to: until, x, width: pixels, isFold });
    [at, x] = [until, x + pixels];
  };
  for (const [start, stop] of folds) {
    if (start > at) add(start, (start - at) * scale, false);
    add(stop, foldWidth, true);
  }
  if (end > at) add(end, (end - at) * scale, false);
  return { from, to: end, width, pieces, x: (moment) => pixelOf(pieces, moment), at: (pixel) => momentOf(pieces, pixel) };
}

function pixelOf(pieces, moment) {
  const piece = pieces[indexOf(pieces, (each) => each.to < moment)];
  const share = piece.to === piece.from ? 0 : (moment - piece.from) / (piece.to - piece.from);
  return piece.x + Math.min(1, Math.max(0, share)) * piece.width;
}

function momentOf(pieces, pixel) {
  const piece = pieces[indexOf(pieces, (each) => each.x + each.width < pixel)];
  const share = piece.width === 0 ? 0 : (pixel - piece.x) / piece.width;
  return piece.from + Math.min(1, Math.max(0, share)) * (piece.to - piece.from);
}

/** Return the first piece that is not before; the last one if all are. */
function indexOf(pieces, isBefore) {
  let [low, high] = [0, pieces.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(pieces[middle])) low = middle + 1;
    else high = middle;
  }
  return low;
}

// What a tick may stand for: 1, 2 and 5 of each power of ten below a minute, then what clocks have.
const STEPS = [
  ...[1, 10, 100, 1_000].flatMap((power) => [power, 2 * power, 5 * power]),
  ...[10, 15, 30].map((seconds) => seconds * 1_000),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60_000),
  ...[1, 2, 3, 6, 12].map((hours) => hours * 3_600_000),
];
const DAY = 86_400_000;

/** Return the ticks of an axis: { at, x, step }, with their labels none inside a fold, at least 64 pixels apart, counted from `origin`. */
export function ticksOf(axis, origin) {
  const ticks = [];
  for (const piece of axis.pieces) {
    if (piece.isFold || piece.width < 1) continue;
    const step = stepOf((TICK_GAP * (piece.to - piece.from)) / piece.width);
    let at = origin + Math.ceil((piece.from - origin) / step) * step;
    for (; at <= piece.to; at += step) {
      const x = axis.x(at);
      const last = ticks.at(-1);
      // Its label ends where the next fold begins.
      const hasRoom = x + LABEL_WIDTH <= piece.x + piece.width || (piece === axis.pieces.at(-1) && x + LABEL_WIDTH <= axis.width);
      if (hasRoom && (last === undefined || x - last.x >= TICK_GAP)) ticks.push({ at, x, step });
    }
  }
  return ticks;
}

function stepOf(atLeast) {
  const found = STEPS.find((step) => step >= atLeast);
  if (found !== undefined) return found;
  const days = atLeast / DAY;
  const power = 10 ** Math.floor(Math.log10(days));
  return [1, 2, 5, 10].map((factor) => factor * power * DAY).find((step) => step >= atLeast) ?? DAY;
}

/** Return where a bar lies on an axis: { x, width }, at least `least` pixels wide; null if it is outside. */
export function barOf(axis, from, to, least = 3) {
  if (to < axis.from || from > axis.to) return null;
  const x = axis.x(Math.max(from, axis.from));
  return { x, width: Math.max(axis.x(Math.min(to, axis.to)) - x, least) };
}
