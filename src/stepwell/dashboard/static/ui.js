// The parts that all screens are made of.
import { useRead } from "./api.js";
import { html, useCallback, useEffect, useId, useRef, useState } from "./dom.js";
import { ago, clockTime, duration, exact, visible } from "./format.js";
import { queryText } from "./router.js";
import { Value, useValue } from "./store.js";

const PER_PAGE = 50;
// Each status: its word, and the sign that stands before it, so that colour is never alone.
export const STATUSES = {
  queued: ["queued", "M8 2.5a5.5 5.5 0 1 0 .01 0z"],
  running: ["running", "M4 2.5 13 8l-9 5.5z"],
  waiting: ["waiting", "M4 2.5h8L4 13.5h8z"],
  paused: ["paused", "M5.5 3v10M10.5 3v10"],
  waitingForPause: ["pausing", "M5.5 3v10M10.5 3v10"],
  rollingBack: ["rolling back", "M7 3 2.5 8 7 13M2.5 8H14"],
  complete: ["complete", "M2.5 8.5 6.5 12.5 13.5 4"],
  errored: ["errored", "M8 2 14.5 13.5h-13zM8 6.5v3M8 11.5v.2"],
  terminated: ["terminated", "M3.5 3.5h9v9h-9z"],
};
// And of rows, which can be cut off.
const SIGN = { ...STATUSES, cut: STATUSES.terminated };
export const FINAL = new Set(["complete", "errored", "terminated"]);

export function Icon({ path, label }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden=${label ? undefined : "true"} aria-label=${label} role=${label ? "img" : undefined}><path d=${path} /></svg>`;
}

export const Sign = ({ of, label }) => html`<${Icon} path=${SIGN[of]?.[1] ?? "M8 8h.01"} label=${label} />`;

// `word`: for something else that stands as instances of this status do.
export function StatusBadge({ status, word }) {
  return html`<span class="badge s-${status}"><${Sign} of=${status} />${word ?? STATUSES[status]?.[0] ?? status}</span>`;
}

// A button that is a sign; `label` says it in words, `title` beside the pointer.
export function SignButton({ label, title = label, path, ...rest }) {
  return html`<button type="button" class="copy" aria-label=${label} title=${title} ...${rest}><${Icon} path=${path} /></button>`;
}

export const Close = (props) => html`<${SignButton} label="close" path="M3.5 3.5l9 9M12.5 3.5l-9 9" ...${props} />`;

export function Button({ kind = "", busy = false, disabled, children, ...rest }) {
  return html`<button type="button" class="button ${kind}" aria-busy=${busy ? "true" : undefined} disabled=${disabled || busy} ...${rest}>${children}</button>`;
}

// Pairs of texts, each a link to those that have it.
export function Labels({ labels, urlOf }) {
  const all = Object.entries(labels ?? {}).map(([name, value]) => `${name}=${value}`);
  return all.length > 0 && html`<span class="labels">${all.map((label) => html`<a href=${urlOf(label)}>${visible(label)}</a>`)}</span>`;
}

// A moment: how long ago, exact in its title and for machines.
export function Time({ at }) {
  const now = useNow(30_000);
  if (!at) return html`<span class="muted">-</span>`;
  return html`<time dateTime=${at} title=${`${exact(at)} (${at})`}>${ago(at, now)}</time>`;
}

export function Duration({ from, to }) {
  const now = useNow(from && !to ? 1_000 : 0);
  if (!from) return html`<span class="muted">-</span>`;
  return html`<span class="num">${duration((to ? Date.parse(to) : now) - Date.parse(from))}</span>`;
}

// The time now, drawn again every so many milliseconds; 0: never.
export function useNow(every) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!every) return;
    const timer = setInterval(() => document.hidden || setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return every ? now : Date.now();
}

export function useTitle(...parts) {
  const title = [...parts.map(visible), "Stepwell"].join(" - ");
  useEffect(() => {
    document.title = title;
  }, [title]);
}

// Copy a text, and tell whether that went well; the browser may forbid it.
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    toast("The browser let nothing be copied.", "bad");
    return false;
  }
}

export function Copy({ text, what = "copy", path = "M5.5 5.5h8v8h-8zM2.5 10.5v-8h8" }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    if (!(await copyText(text))) return;
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  };
  return html`<${SignButton} label=${`${what}${done ? ", copied" : ""}`} title=${what} path=${done ? STATUSES.complete[1] : path} onClick=${copy} />`;
}

// A table that becomes cards on a phone. `columns`, of which those that are false are left out, have a name, a `cell(row)`, and maybe a class and an `aria-sort`; `keyOf(row)` tells rows apart, and
// `classOf(row)` may mark one.
export function Table({ columns: given, rows, keyOf, label, classOf }) {
  const columns = given.filter(Boolean);
  return html`<div class="scroll"><table><caption class="hidden">${label}</caption>
    <thead><tr>${columns.map((column) => html`<th scope="col" class=${column.kind ?? ""} aria-sort=${column.sort}>${column.head ?? column.name}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${keyOf(row)} class=${classOf?.(row)}>${columns.map((column) => html`<td class=${column.kind ?? ""} data-name=${column.name}>${column.cell(row)}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

// A list in pages, of which `?page=` is the one that is shown: `{ page, read }`. `path` is where it is asked for.
export function usePages(path, query, { page: given }, options, most = PER_PAGE) {
  const page = Math.max(1, Number.parseInt(given, 10) || 1);
  return { page, read: useRead(path + queryText({ per_page: most, page, ...query }), options) };
}

// The way to the pages of a list before and after this one. `url` is where the list is, `query` what is in its address.
export function Pager({ page, info, url, query }) {
  const urlOf = (to) => url + queryText({ ...query, page: to });
  return info.total_pages > 1 && html`<nav class="pager" aria-label="Pages"><span>${page} of ${info.total_pages}</span>
    ${page > 1 && html`<a class="button" href=${urlOf(page - 1)}>Previous</a>`}
    ${page < info.total_pages && html`<a class="button" href=${urlOf(page + 1)}>Next</a>`}</nav>`;
}

// Rows that stand for those to come. For the first moment there are none, as most answers are there by then.
export function Loading({ rows = 5 }) {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), 150);
    return () => clearTimeout(timer);
  }, []);
  return html`<div class="loading" role="status" aria-label="loading">${shown && Array.from({ length: rows }, () => html`<div class="skeleton"></div>`)}</div>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}

export function ErrorBox({ error, retry }) {
  return html`<div class="problem" role="alert"><${Sign} of="errored" />
    <div><p>${visible(error.message)}</p>${error.code > 0 && html`<p class="muted">code ${error.code}, status ${error.status}</p>`}</div>
    ${retry && html`<${Button} onClick=${retry}>Try again<//>`}</div>`;
}

// What a read leads to: rows that load, an error, or what `children(result)` makes of it, with a word when it is old.
export function Loaded({ read, children, rows }) {
  if (read.isLoading) return html`<${Loading} rows=${rows} />`;
  if (read.result === undefined) return html`<${ErrorBox} error=${read.error} retry=${read.reload} />`;
  return html`<${Old} read=${read} />${children(read.result, read.info)}`;
}

export const Old = ({ read }) => read.error && html`<p class="old" role="status">Not up to date: last read ${clockTime(read.at)}. ${visible(read.error.message)} <${Button} onClick=${read.reload}>Try again<//></p>`;

// A dialog of the browser's: it holds the focus, and Escape closes it. Where something is `dirty` it asks before that.
export function Dialog({ title, onClose, dirty = false, wide = false, children }) {
  const ref = useRef(null);
  const id = useId();
  useEffect(() => {
    const opener = document.activeElement;
    ref.current.showModal();
    (ref.current.querySelector("[data-focus]") ?? ref.current.querySelector("input,textarea,select"))?.focus();
    return () => opener?.isConnected && opener.focus();
  }, []);
  const close = (event) => {
    event?.preventDefault();
    if (!dirty || confirm("Close this and lose what was typed?")) onClose();
  };
  return html`<dialog ref=${ref} class=${wide ? "wide" : ""} aria-labelledby=${id} onCancel=${close}>
    <header><h2 id=${id}>${title}</h2><${Close} onClick=${close} /></header>
    ${children}</dialog>`;
}

// A form with an error inside, and two buttons. What cannot be undone is a `danger`: the focus stands on Cancel, and Enter does not do it.
// `foot` stands beside them, and with `stays` it is open afterwards, too.
export function Form({ title, verb, close, act, done, dirty, disabled, danger, wide, foot, stays, children }) {
  const { run, busy, error } = useAction(act, (result) => (stays || close(), done?.(result)));
  const submit = (event) => {
    event.preventDefault();
    if (!disabled && !busy && !danger) run();
  };
  return html`<${Dialog} title=${title} wide=${wide} onClose=${close} dirty=${dirty && !busy}>
    <form onSubmit=${submit}><div class="body">${children}${error && html`<${ErrorBox} error=${error} />`}</div>
    <footer>${foot}<${Button} data-focus=${danger} onClick=${close}>Cancel<//><${Button} kind=${danger ? "danger" : "primary"} type=${danger ? "button" : "submit"} busy=${busy} disabled=${disabled} onClick=${danger && run}>${verb}<//></footer></form><//>`;
}

const MOVES = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

// A button that opens a list of things to do, on a phone from below: `items` are { word, act, kind }. It is a sign, or `isWord`.
export function Menu({ label, items, isWord }) {
  const [isOpen, setOpen] = useState(false);
  const button = useRef(null);
  const list = useRef(null);
  useEffect(() => {
    if (!isOpen) return;
    const menu = list.current;
    const { right, top, bottom } = button.current.getBoundingClientRect();
    menu.showPopover();
    menu.style.left = `${Math.max(8, right - menu.offsetWidth)}px`;
    menu.style.top = `${bottom + menu.offsetHeight > innerHeight ? top - menu.offsetHeight : bottom}px`;
    menu.firstElementChild.focus();
  }, [isOpen]);
  const hear = (event) => {
    if (!Object.hasOwn(MOVES, event.key)) return;
    const all = [...list.current.children];
    all[Math.max(0, Math.min(all.length - 1, all.indexOf(document.activeElement) + MOVES[event.key]))].focus();
    event.preventDefault();
    event.stopPropagation();
  };
  const choose = (act) => (list.current.hidePopover(), act());
  return html`<button type="button" class=${isWord ? "button" : "copy"} ref=${button} aria-haspopup="menu" aria-expanded=${isOpen} aria-label=${label} title=${label} onClick=${() => setOpen(true)}>${isWord ? label : html`<${Icon} path="M2.5 8h1M7.5 8h1M12.5 8h1" />`}</button>
    ${isOpen && html`<div class="menu" popover="auto" role="menu" aria-label=${label} ref=${list} onKeyDown=${hear} onToggle=${(event) => event.newState === "closed" && setOpen(false)}>
      ${items.map(({ word, act, kind }) => html`<button type="button" role="menuitem" class=${kind ?? ""} key=${word} onClick=${() => choose(act)}>${word}</button>`)}</div>`}`;
}

// An action that runs once at a time, and its error.
export function useAction(act, done) {
  const [state, setState] = useState({ busy: false, error: null });
  const run = useCallback(async (...given) => {
    setState({ busy: true, error: null });
    try {
      const result = await act(...given);
      setState({ busy: false, error: null });
      done?.(result);
    } catch (error) {
      setState({ busy: false, error });
    }
  }, [act, done]);
  return { run, ...state };
}

const toasts = new Value([]);
let lastToast = 0;

// A short word on what has been done. `action` is { name, run }, such as Undo.
export function toast(text, kind = "good", action = null) {
  const id = ++lastToast;
  toasts.set([...toasts.now.slice(-3), { id, text, kind, action }]);
  setTimeout(() => closeToast(id), action || kind === "bad" ? 10_000 : 5_000);
}

const closeToast = (id) => toasts.set(toasts.now.filter((one) => one.id !== id));

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">${useValue(toasts).map(
    ({ id, text, kind, action }) => html`<div key=${id} class="toast ${kind}"><span>${visible(text)}</span>
      ${action && html`<${Button} onClick=${() => (closeToast(id), action.run())}>${action.name}<//>`}
      <${Close} onClick=${() => closeToast(id)} /></div>`,
  )}</div>`;
}

export function download(name, text, type = "application/json") {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name.replace(/[^\w.-]+/g, "_").slice(0, 100) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
