// What the page of an instance knows, and how it is kept up to date: the log in pages, of which those that can change no
// more are not read again; the status; and why it does not go on.
import { useCallback, useEffect, useMemo, useRef, useState } from "../dom.js";
import { get, instancePath, ownInstancePath } from "../api.js";
import { instanceTopic, useLive } from "../live.js";
import { FINAL } from "../ui.js";
import { isOpen, rowsOf } from "./rows.js";

const PER_PAGE = 1_000;
// Between two readings lies so much time, and so many times what the last one took: who looks at an instance of thousands
// of steps is not to hold it up.
const GAP_MS = 200;
const GAP_FACTOR = 8;
const NOTHING = { head: null, own: null, why: null, entries: [], isWhole: false, error: null, at: 0 };

export function useInstance(workflow, id) {
  const [state, setState] = useState(NOTHING);
  const known = useRef({ pages: [], head: null, isReading: false, isAsked: false, timer: 0, abort: null });

  const read = useCallback(async () => {
    const mine = known.current;
    if (mine.isReading) return void (mine.isAsked = true);
    Object.assign(mine, { isReading: true, isAsked: false, abort: new AbortController() });
    const began = Date.now();
    try {
      const found = await readAll(workflow, id, mine, (head, entries) =>
        setState((old) => (old.head === null ? { ...NOTHING, head, entries, at: Date.now() } : old)),
      );
      setState({ ...found, isWhole: true, error: null, at: Date.now() });
    } catch (error) {
      if (error.name !== "AbortError") setState((old) => ({ ...old, error }));
    }
    mine.isReading = false;
    if (mine.isAsked && !mine.isGone) mine.timer = setTimeout(read, GAP_MS + GAP_FACTOR * (Date.now() - began));
  }, [workflow, id]);

  // After a restart nothing that was read counts.
  const reload = useCallback(() => {
    known.current.pages = [];
    return read();
  }, [read]);

  useEffect(() => {
    known.current.isGone = false;
    read();
    return () => {
      known.current.isGone = true;
      clearTimeout(known.current.timer);
      known.current.abort?.abort();
    };
  }, [read]);

  const isFinal = state.isWhole && FINAL.has(state.head.status) && FINAL.has(state.own.status);
  useLive(isFinal ? [] : [instanceTopic(workflow, id)], read);

  const rows = useMemo(() => {
    const retries = (state.why?.reasons ?? []).filter((reason) => reason.type === "retry");
    const until = new Map(retries.map((reason) => [reason.step, Date.parse(reason.until)]));
    const endedAt = state.head && FINAL.has(state.head.status) ? Date.parse(state.head.end ?? state.own?.ended_on) : null;
    return rowsOf(state.entries, Number.isNaN(endedAt) ? null : endedAt, until);
  }, [state]);
  return { ...state, rows, isFinal, read, reload };
}

// Let something be read again when the instance has changed: soon, and at most so often, however much happens to it.
export function useFollowing(instance, read) {
  const last = useRef(null);
  useEffect(() => {
    const every = instance.rows.length > PER_PAGE ? 4_000 : 1_000;
    // What is shown was read when it was first drawn.
    if (last.current === null) return void (last.current = Date.now());
    const timer = setTimeout(() => ((last.current = Date.now()), read()), Math.max(0, last.current + every - Date.now()));
    return () => clearTimeout(timer);
  }, [instance.at]);
}

async function readAll(workflow, id, mine, tellFirst) {
  const { signal } = mine.abort;
  const own = get(ownInstancePath(workflow, id), { signal });
  // Whoever awaits it last hears of the error.
  own.catch(() => {});
  const head = await readLog(workflow, id, mine, signal, tellFirst);
  const why = FINAL.has(head.status) ? null : (await get(ownInstancePath(workflow, id, "why"), { signal })).result;
  return { head, own: (await own).result, why, entries: mine.pages.flatMap((page) => page.entries) };
}

async function readLog(workflow, id, mine, signal, tellFirst) {
  for (let n = 0, cursor = ""; ; n++) {
    if (mine.pages[n]?.isSettled) {
      cursor = mine.pages[n].next;
      continue;
    }
    const query = `?per_page=${PER_PAGE}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
    const { result, info } = await get(instancePath(workflow, id) + query, { signal });
    if (isAnotherLife(mine.head, result)) {
      mine.head = null;
      mine.pages = [];
      [n, cursor] = [-1, ""];
      continue;
    }
    mine.head = result;
    mine.pages[n] = { entries: result.steps, next: info.cursor, isSettled: info.cursor !== "" && !result.steps.some(isOpen) };
    if (n === 0) tellFirst(result, result.steps);
    cursor = info.cursor;
    if (cursor === "") {
      mine.pages.length = n + 1;
      return result;
    }
  }
}

/** Tell whether an instance was restarted since, or has ended: then pages that were settled may be others. */
function isAnotherLife(before, now) {
  if (before === null) return false;
  return before.start !== now.start || before.step_count > now.step_count || FINAL.has(before.status) !== FINAL.has(now.status);
}
