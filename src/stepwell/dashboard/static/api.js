// The API as the page asks it: with the browser's session, in Cloudflare's envelope. What is refused becomes an ApiError.
import { BASE } from "./base.js";
import { useCallback, useEffect, useRef, useState } from "./dom.js";
import { isLive, useLive } from "./live.js";
import { session } from "./session.js";

const LONGEST_MS = 30_000;
const PAGE_HEADER = { "x-stepwell-page": "1" };
const ACCOUNT = () => `/client/v4/accounts/${encodeURIComponent(session.now.account)}`;

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

// Below the account: Cloudflare's routes, and Stepwell's own.
export const workflowPath = (name, ...rest) => ["/workflows", ...[name, ...rest].map(encodeURIComponent)].join("/");
export const ownPath = (name, ...rest) => "/stepwell" + workflowPath(name, ...rest);
export const instancePath = (workflow, id, ...rest) => workflowPath(workflow, "instances", id, ...rest);
export const ownInstancePath = (workflow, id, ...rest) => ownPath(workflow, "instances", id, ...rest);

// Return the whole envelope's `result` and `info`. `path` lies below the account unless it begins with /ui.
// `body` is a value, or with `text` JSON as it was typed: numbers keep their digits.
async function ask(method, path, { body, text, signal, headers } = {}) {
  const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
  const response = await send(path, {
    method,
    signal,
    body: sent,
    headers: { ...PAGE_HEADER, ...(sent === undefined ? {} : { "content-type": "application/json" }), ...headers },
  });
  const envelope = await response.json().catch(nothingIfAnswered);
  if (!response.ok || !envelope?.success) throw await refusal(response, envelope);
  return { result: envelope.result, info: envelope.result_info };
}

export const get = (path, options) => ask("GET", path, options);
export const post = (path, options) => ask("POST", path, options);
export const patch = (path, options) => ask("PATCH", path, options);
export const remove = (path, options) => ask("DELETE", path, options);

// Text that is no envelope, such as a drawing.
export async function getText(path, { signal } = {}) {
  const response = await send(path, { signal, headers: PAGE_HEADER });
  if (!response.ok) throw await refusal(response, await response.json().catch(nothingIfAnswered));
  return response.text().catch((error) => Promise.reject(nothingIfAnswered(error) ?? error));
}

export const urlOf = (path) => BASE + (path.startsWith("/ui/") ? path : ACCOUNT() + path);

// What is sent again with the same one is done once.
export const onceKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

// What somebody types elsewhere to ask for the same; `body` is JSON as it is sent.
export function curl(path, body) {
  const token = session.now.wants_token ? ` -H "Authorization: Bearer $STEPWELL_TOKEN"` : "";
  const sent = body === undefined ? "" : ` -H 'content-type: application/json' -d '${body.replaceAll("'", "'\\''")}'`;
  return `curl${token}${sent} '${location.origin}${urlOf(path).replaceAll("'", "%27")}'`;
}

async function send(path, { signal, ...options }) {
  const signals = [AbortSignal.timeout(LONGEST_MS), ...(signal ? [signal] : [])];
  try {
    return await fetch(urlOf(path), { credentials: "same-origin", cache: "no-store", signal: AbortSignal.any(signals), ...options });
  } catch (error) {
    nothingIfAnswered(error);
    throw new ApiError(0, 0, "The server does not answer. It may have been stopped, or the network is away.");
  }
}

// What was given up, here or because it took too long, is no answer that nobody can read.
function nothingIfAnswered(error) {
  if (error.name === "AbortError") throw error;
  if (error.name === "TimeoutError") throw new ApiError(0, 0, `The server has not answered for ${LONGEST_MS / 1_000} s. What was asked of it may be done all the same.`);
  return null;
}

async function refusal(response, envelope) {
  const problem = envelope?.errors?.[0];
  if (response.status === 401 && session.now?.wants_token) session.set({ ...session.now, is_signed_in: false, can_write: false });
  const text = problem?.message ?? `The server answered ${response.status} and nothing that can be read.`;
  return new ApiError(response.status, problem?.code ?? 0, text.replace(/^workflows\.api\.error\.(?:[\w.]+: )?/, ""));
}

// Return a function that does some work: once at a time. What is asked for meanwhile is once more behind it, after
// `pauseAfter(how long it took)`: where it came instead, what takes long would never be seen of what changes all the time.
// It stays the same, and does what is to be done now, also for somebody who asks late; nothing when the component is gone.
export function useOneByOne(work, pauseAfter = () => 0) {
  const wanted = useRef(null);
  const running = useRef(null);
  const doIt = useCallback(async () => {
    if (running.current) return void (running.current.isAsked = true);
    if (!wanted.current) return;
    const mine = (running.current = new AbortController());
    const began = Date.now();
    await wanted.current(mine.signal);
    if (mine.signal.aborted) return;
    const again = () => ((running.current = null), doIt());
    if (!mine.isAsked) running.current = null;
    else mine.timer = setTimeout(again, pauseAfter(Date.now() - began));
  }, []);
  useEffect(() => {
    wanted.current = work;
    doIt();
    return () => {
      clearTimeout(running.current?.timer);
      running.current?.abort();
      running.current = wanted.current = null;
    };
  }, [work]);
  return doIt;
}

// Read something and keep it up to date: again when the path changes, when one of the live `topics` has, on `reload`, and `every` so
// many milliseconds where it changes by the time alone.
// What was read stays while it is read again, and when that fails: then `error` says why, and `at` since when it is old.
export function useRead(path, { topics = [], read = get, every = 0 } = {}) {
  const [state, setState] = useState({ path: null });
  const reload = useOneByOne(
    useCallback(
      async (signal) => {
        if (path === null) return;
        let change;
        try {
          change = { path, found: await read(path, { signal }), at: Date.now() };
        } catch (error) {
          change = (old) => ({ ...(old.path === path ? old : { path }), error });
        }
        if (!signal.aborted) setState(change);
      },
      [path],
    ),
  );
  useLive(topics, reload);
  useEffect(() => {
    const timer = every && setInterval(() => isLive.now && !document.hidden && reload(), every);
    return () => clearInterval(timer);
  }, [every]);
  const isMine = state.path === path;
  return {
    result: isMine ? state.found?.result ?? state.found : undefined,
    info: isMine ? state.found?.info : undefined,
    error: isMine ? state.error : undefined,
    at: isMine ? state.at : undefined,
    isLoading: path !== null && (!isMine || (!state.found && !state.error)),
    reload,
  };
}
