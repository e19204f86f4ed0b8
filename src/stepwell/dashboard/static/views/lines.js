// Lines in their order, as a log has them: searched, chosen from by a menu, kept at the end while new ones come, and downloaded.
import { html, useEffect, useMemo, useRef, useState } from "../dom.js";
import { count, plural } from "../format.js";
import { changeQuery } from "../router.js";
import { Button, ErrorBox, Loading, download } from "../ui.js";

const DRAWN = 500;

// `choices` are those of the menu, by what the address has as `param`; `fits(line)` and `textOf(line)` say what is found. `draw(line)`
// is one line, and `name` what all of them are.
export function Lines({ found, name, file, query, param, choices, fits, textOf, draw, none, children }) {
  const { lines, error, isLoading, reload } = found;
  const [drawn, setDrawn] = useState(DRAWN);
  const wanted = (query.q ?? "").toLowerCase();
  const chosen = query[param] ?? "";
  const shown = useMemo(() => lines.filter((line) => fits(line, chosen) && textOf(line).toLowerCase().includes(wanted)), [lines, wanted, chosen]);
  const box = useRef(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    if (isAtEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [shown.length]);
  const scrolled = () => (isAtEnd.current = box.current.scrollTop + box.current.clientHeight > box.current.scrollHeight - 40);
  const save = () => download(`${file}.ndjson`, lines.map((line) => JSON.stringify(line) + "\n").join(""), "application/x-ndjson");
  return html`<div class="filters tools-of">
      <input type="search" data-search aria-label=${`Search the ${name}`} placeholder="Search" value=${query.q ?? ""} onInput=${(event) => changeQuery({ q: event.target.value }, { replace: true })} />
      <select aria-label=${param === "level" ? "Levels" : "Kinds"} value=${chosen} onChange=${(event) => changeQuery({ [param]: event.target.value })}>${choices.map(([value, said]) => html`<option value=${value}>${said}</option>`)}</select>
      ${children}
      <${Button} disabled=${lines.length === 0} onClick=${save}>Download<//><span class="muted">${plural(shown.length, "line")}</span></div>
    ${error && html`<${ErrorBox} error=${error} retry=${reload} />`}
    ${isLoading ? html`<${Loading} rows=${5} />` : shown.length === 0 ? html`<p class="muted">${lines.length ? "No line fits." : !error && none}</p>` : html`<div class="log" role="log" aria-live="off" tabindex="0" aria-label=${name} ref=${box} onScroll=${scrolled}>
      ${shown.length > drawn && html`<p><${Button} onClick=${() => setDrawn(drawn + DRAWN)}>${count(Math.min(DRAWN, shown.length - drawn))} earlier ones<//></p>`}
      ${shown.slice(-drawn).map(draw)}</div>`}`;
}
