// What the page of an instance knows, and how it is kept up to date: the log in pages, of which those that can change no
// more are not read again; the status; and why it does not go on.
import { useCallback, useEffect, useMemo, useRef, useState } from "../dom.js";
import { get, instancePath, ownInstancePath, useOneByOne } from "../api.js";
import { instanceTopic, useLive } from "../live.js";
import { FINAL } from "../ui.js";
import { isOpen, rowsOf } from "./rows.js";

const PER_PAGE = 1_000;
// Between two readings lies so much time, and, the longer the log is, up to so many times what the last one took: who looks at an
// instance of thousands of steps is not to hold it up.
const GAP_MS = 50;
const GAP_FACTOR = 8;
const FULL_FROM = 800;
const NOTHING = { head: null, own: null, why: null, entries: [], isWhole: false, error: null, at: 0 };

export function useInstance(workflow, id) {
  const [state, setState] = useState(NOTHING);
  const known = useRef({ pages: [], head: null });

  const work = useCallback(
    async (signal) => {
      try {
        const found = await readAll(workflow, id, known.current, signal, (head, entries) =>
          setState((old) => (old.head === null ? { ...NOTHING, head, entries, at: Date.now() } : old)),
        );
        if (!signal.aborted) setState({ ...found, isWhole: true, error: null, at: Date.now() });
      } catch (error) {
        if (!signal.aborted) setState((old) => ({ ...old, error }));
      }
    },
    [workflow, id],
  );
  const read = useOneByOne(work, (took) => GAP_MS + took * GAP_FACTOR * Math.min(1, entriesOf(known.current).length / FULL_FROM));

  // After a restart nothing that was read counts.
  const reload = useCallback(() => {
    known.current.pages = [];
    return read();
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
    // What is shown was read when it was first drawn, with the beginning of the log.
    if (!instance.isWhole) return;
    if (last.current === null) return void (last.current = Date.now());
    const timer = setTimeout(() => ((last.current = Date.now()), read()), Math.max(0, last.current + every - Date.now()));
    return () => clearTimeout(timer);
  }, [instance.isWhole && instance.at]);
}

// Records of an instance, of some kinds or of all, and those that come later.
export function useHistory(workflow, id, instance, kinds = []) {
  const [state, setState] = useState({ records: [], isLoading: true, error: null });
  const next = useRef(0);
  const work = useCallback(
    async (signal) => {
      try {
        for (let isWhole = false; !isWhole && !signal.aborted; ) {
          const chosen = kinds.map((kind) => `&kind=${kind}`).join("");
          const { result } = await get(`${ownInstancePath(workflow, id, "history")}?limit=${PER_PAGE}&after=${next.current}${chosen}`, { signal });
          [next.current, isWhole] = [result.next, result.is_whole];
          setState((old) => (result.records.length || old.isLoading || old.error ? { records: [...old.records, ...result.records], isLoading: false, error: null } : old));
        }
      } catch (error) {
        if (!signal.aborted) setState((old) => ({ ...old, isLoading: false, error }));
      }
    },
    [workflow, id],
  );
  const reload = useOneByOne(work);
  useFollowing(instance, reload);
  return { ...state, reload };
}

async function readAll(workflow, id, mine, signal, tellFirst) {
  const own = get(ownInstancePath(workflow, id), { signal });
  // Whoever awaits it last hears of the error.
  own.catch(() => {});
  const head = await readLog(workflow, id, mine, signal, tellFirst);
  const why = FINAL.has(head.status) ? null : (await get(ownInstancePath(workflow, id, "why"), { signal })).result;
  return { head, own: (await own).result, why, entries: entriesOf(mine) };
}

const entriesOf = ({ pages }) => pages.flatMap((page) => page.entries);

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
