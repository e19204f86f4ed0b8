// What a list of instances is filtered by: all of it is in the address, and most of it under the names that the search itself has.
import { html, useMemo, useState } from "../dom.js";
import { useRead, workflowPath } from "../api.js";
import { ago, exact, visible } from "../format.js";
import { changeQuery, linesOf, queryText, toggled } from "../router.js";
import { Button, STATUSES } from "../ui.js";
import { Search } from "./search.js";

const RANGES = { "15m": ["15 minutes", 900_000], "1h": ["hour", 3_600_000], "24h": ["24 hours", 86_400_000], "7d": ["7 days", 604_800_000] };
const SIZES = ["25", "50", "100"];
const SEARCHED = ["status", "prefix", "label", "error", "error_text", "version", "trigger", "duration_min", "duration_max", "cursor"];
// What is shown as a chip that takes it away.
const CHIPS = { label: "", error: "error ", version: "version ", trigger: "by ", duration_min: "took at least ", duration_max: "took at most " };
const TRIGGERS = ["api", "binding", "cron", "event", "unknown"];
// Fields that are there when somebody asks for them, or has filled one.
const MORE = ["version", "trigger", "duration_min", "duration_max"];

// Return where the API is asked, with some changes. A range ends now, so it is reckoned once for each time that it is chosen.
export function useAsked(path, query) {
  const searched = SEARCHED.map((name) => [name, query[name]]);
  const { range, from, to, sort, per } = query;
  return useMemo(() => {
    const since = Object.hasOwn(RANGES, range ?? "") ? new Date(Date.now() - RANGES[range][1]).toISOString() : asTime(from);
    const whole = { per_page: SIZES.includes(per) ? per : "50", ...Object.fromEntries(searched), direction: sort === "created" ? "asc" : "", date_start: since, date_end: asTime(to) };
    return (changes) => path + queryText({ ...whole, ...changes });
  }, [JSON.stringify([path, searched, range, from, to, sort, per])]);
}

function asTime(local) {
  const time = new Date(local ?? "");
  return Number.isNaN(time.getTime()) ? "" : time.toISOString();
}

// A field for the beginning of an id, or a label, which Enter makes a chip.
export function Find({ query = {}, set }) {
  const enter = (text) => {
    if (!text.includes("=")) return void (text && set({ prefix: text }));
    set({ prefix: "", label: linesOf(query.label).includes(text) ? query.label : toggled(query.label, text) });
    return true;
  };
  return html`<${Search} label="Id, or a label: customer=ann" value=${query.prefix} onChange=${(text) => text.includes("=") || set({ prefix: text.trim() }, { replace: true })} onEnter=${enter} />`;
}

export function InstanceFilters({ query, workflow, url, home }) {
  const [isMore, setMore] = useState(MORE.some((name) => query[name]));
  const isCustom = query.range === "custom" || Boolean(query.from || query.to);
  const set = (changes, options) => changeQuery({ cursor: "", ...changes }, options);
  const choice = (name, label, value, change, options, kind = "") => html`<div class="field ${kind}"><label for=${name}>${label}</label><select id=${name} value=${value} onChange=${(event) => change(event.target.value)}>${options.map(([key, word]) => html`<option value=${key}>${word}</option>`)}</select></div>`;
  const typed = (name, label, hint, list) => html`<div class="field"><label for=${name}>${label}</label><input id=${name} list=${list} placeholder=${hint} autocomplete="off" value=${query[name] ?? ""} onChange=${(event) => set({ [name]: event.target.value.trim() })} /></div>`;
  return html`<div class="filters ${isMore ? "more" : ""}">
    <${Find} query=${query} set=${set} />
    <${Search} label="Text of the error" kind="rare" value=${query.error_text} onChange=${(text) => set({ error_text: text }, { replace: true })} />
    ${choice("range", "Created", isCustom ? "custom" : query.range ?? "", (range) => set({ range, from: "", to: "" }), [["", "at any time"], ...Object.entries(RANGES).map(([key, [word]]) => [key, `in the last ${word}`]), ["custom", "between ..."]])}
    ${isCustom && ["from", "to"].map((name) => html`<div class="field"><label for=${name}>${name} (${Intl.DateTimeFormat().resolvedOptions().timeZone})</label><input id=${name} type="datetime-local" value=${query[name] ?? ""} onChange=${(event) => set({ [name]: event.target.value, range: "custom" })} /></div>`)}
    ${isMore && html`${typed("version", "Version", "its id", "versions")}<${VersionList} workflow=${workflow} />
      ${choice("trigger", "Created by", query.trigger ?? "", (trigger) => set({ trigger }), [["", "anything"], ...TRIGGERS.map((one) => [one, one])])}
      ${typed("duration_min", "Took at least", "5 minutes")}${typed("duration_max", "Took at most", "1 hour")}`}
    ${choice("sort", "Order", query.sort ?? "", (sort) => set({ sort }), [["", "newest first"], ["created", "oldest first"]], "rare")}
    ${choice("per", "Rows", SIZES.includes(query.per) ? query.per : "50", (per) => set({ per: per === "50" ? "" : per }), SIZES.map((size) => [size, size]), "rare")}
    <${Button} kind="quiet" aria-expanded=${isMore} onClick=${() => setMore(!isMore)}>${isMore ? "Fewer" : "More"} filters<//>
    ${Object.entries(CHIPS).flatMap(([name, word]) => linesOf(query[name]).map((one) => html`<a class="chip" key=${name + one} href=${url({ [name]: toggled(query[name], one) })} aria-label=${`remove ${word}${visible(one)}`}>${word}${visible(one)} ×</a>`))}
    ${(isFiltered(query) || isCustom) && html`<a class="button quiet" href=${home}>Clear</a>`}
  </div>`;
}

// What a browser offers for the field of the version.
function VersionList({ workflow }) {
  const { result } = useRead(workflow ? workflowPath(workflow, "versions") + "?per_page=25" : null);
  return html`<datalist id="versions">${result?.map((version) => html`<option value=${version.id}>${ago(version.created_on)}</option>`)}</datalist>`;
}

const whenWords = (query) => (Object.hasOwn(RANGES, query.range ?? "") ? ` in the last ${RANGES[query.range][0]}` : `${query.from ? ` since ${exact(asTime(query.from))}` : ""}${query.to ? ` until ${exact(asTime(query.to))}` : ""}`);
const isFiltered = (query) => isNarrow(query) || Boolean(query.status);

// Whether more than statuses narrow what is found: then nobody knows how many there are.
export const isNarrow = (query) => Boolean(whenWords(query)) || SEARCHED.some((name) => query[name] && name !== "status" && name !== "cursor");
export const statusWords = (query) => linesOf(query.status).map((status) => STATUSES[status]?.[0] ?? visible(status)).join(" or ");

// A filter as a sentence.
export function inWords(query, workflow) {
  const words = statusWords(query);
  const when = whenWords(query);
  const rest = SEARCHED.slice(1, -1).filter((name) => query[name]).map((name) => `${name.startsWith("duration") ? CHIPS[name] : `${name.replace("_", " ")} `}${linesOf(query[name]).map(visible).join(" and ")}`);
  return `All instances${workflow ? " of this workflow" : ""}${words && ` that are ${words}`}${when && `, created${when}`}${rest.map((one) => `, ${one}`).join("")}.`;
}

// What is not there.
export function nothingFound(query) {
  const when = whenWords(query);
  if (SEARCHED.slice(1, -1).some((name) => query[name])) return "Nothing matches";
  return isFiltered(query) ? `Nothing ${statusWords(query) || "was created"}${when}` : "";
}
