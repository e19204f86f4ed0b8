// The API as the page asks it: with the browser's session, in Cloudflare's envelope. What is refused becomes an ApiError.
import { useCallback, useEffect, useRef, useState } from "./dom.js";
import { useLive } from "./live.js";
import { session } from "./session.js";

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
  const envelope = await response.json().catch(() => null);
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
  if (!response.ok) throw await refusal(response, await response.json().catch(() => null));
  return response.text();
}

export const urlOf = (path) => (path.startsWith("/ui/") ? path : ACCOUNT() + path);

async function send(path, options) {
  try {
    return await fetch(urlOf(path), { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, 0, "The server does not answer. It may have been stopped, or the network is away.");
  }
}

async function refusal(response, envelope) {
  const problem = envelope?.errors?.[0];
  if (response.status === 401 && session.now?.wants_token) session.set({ ...session.now, is_signed_in: false, can_write: false });
  const text = problem?.message ?? `The server answered ${response.status} and nothing that can be read.`;
  return new ApiError(response.status, problem?.code ?? 0, text.replace(/^workflows\.api\.error\.(?:[\w.]+: )?/, ""));
}

// Read something and keep it up to date: again when the path changes, when one of the live `topics` has, and on `reload`.
// One reading runs at a time. What is asked for meanwhile is one more behind it: where it came instead, a slow answer would
// never be seen of what changes all the time.
// What was read stays while it is read again, and when that fails: then `error` says why, and `at` since when it is old.
export function useRead(path, { topics = [], read = get } = {}) {
  const [state, setState] = useState({ path: null });
  const running = useRef(null);
  const load = useCallback(async () => {
    if (path === null) return;
    if (running.current) return void (running.current.isAsked = true);
    const mine = (running.current = new AbortController());
    let change;
    try {
      const found = await read(path, { signal: mine.signal });
      change = { path, found, at: Date.now() };
    } catch (error) {
      change = (old) => ({ ...(old.path === path ? old : { path }), error });
    }
    if (mine.signal.aborted) return;
    setState(change);
    running.current = null;
    if (mine.isAsked) load();
  }, [path]);
  useEffect(() => {
    load();
    return () => {
      running.current?.abort();
      running.current = null;
    };
  }, [load]);
  useLive(topics, load);
  const isMine = state.path === path;
  return {
    result: isMine ? state.found?.result ?? state.found : undefined,
    info: isMine ? state.found?.info : undefined,
    error: isMine ? state.error : undefined,
    at: isMine ? state.at : undefined,
    isLoading: path !== null && (!isMine || (!state.found && !state.error)),
    reload: load,
  };
}
