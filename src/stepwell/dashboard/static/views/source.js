// The source of a version, as its graph was read from it, or as its snapshot has it: text, with the lines in question marked.
import { html, useEffect, useMemo, useRef } from "../dom.js";
import { ownPath, useRead, workflowPath } from "../api.js";
import { plural, visible, visibleLines } from "../format.js";
import { workflowTopic } from "../live.js";
import { changeQuery, sourceUrl } from "../router.js";
import { Button, Copy, Empty, Loaded, download, useTitle } from "../ui.js";
import { VersionChoice } from "./graph_tab.js";
import { tracePieces } from "./places.js";
import { WorkflowHead } from "./workflow_head.js";

const pathOf = (workflow, version) => ownPath(workflow, "versions", version, "source");

export function Source({ workflow, query }) {
  useTitle(...(query.file ? [query.file] : []), "Source", workflow);
  const versions = useRead(workflowPath(workflow, "versions") + "?per_page=100", { topics: [workflowTopic(workflow)] });
  return html`<${WorkflowHead} workflow=${workflow} tab="source" />
    <${Loaded} read=${versions}>${(list) => {
      const version = query.version || list[0]?.id;
      if (!version) return html`<${Empty} title="No version yet" />`;
      return html`<${VersionSource} key=${version} workflow=${workflow} version=${version} query=${query}><${VersionChoice} list=${list} version=${version} /><//>`;
    }}<//>`;
}

function VersionSource({ workflow, version, query, children }) {
  const read = useRead(pathOf(workflow, version));
  return html`<div class="filters">${children}
      ${read.result?.files.length > 1 && html`<div class="field"><label for="file">File</label><select id="file" value=${query.file ?? read.result.files[0].path} onChange=${(event) => changeQuery({ file: event.target.value, line: "", to: "" })}>${read.result.files.map(({ path }) => html`<option value=${path}>${visible(path)}</option>`)}</select></div>`}</div>
    <${Loaded} read=${read}>${(found) => {
      const file = query.file ? found.files.find(({ path }) => path === query.file) : found.files[0];
      const why = found.note || (found.left_out.includes(query.file) ? "It is too large to be kept" : `The graph of this version lies in no file ${query.file}`);
      if (!file) return html`<${Empty} title="Its source is not here"><p>${visible(why[0].toUpperCase() + why.slice(1))}.</p><//>`;
      return html`<${Listing} key=${file.path} file=${file} workflow=${workflow} query=${query} />`;
    }}<//>`;
}

function Listing({ file, workflow, query }) {
  const box = useRef(null);
  const lines = useMemo(() => file.text.replace(/\n$/, "").split("\n"), [file]);
  const first = Number(query.line) || 0;
  const last = Math.max(first, Number(query.to) || 0);
  useEffect(() => {
    const line = box.current.querySelector(".chosen");
    if (line) box.current.scrollTop = line.offsetTop - box.current.clientHeight / 3;
  }, [file, first]);
  return html`<figure class="json"><figcaption><span class="mono">${visible(file.path)}</span> <span class="muted">${plural(lines.length, "line")}</span><span class="grow"></span>
      <${Copy} text=${file.text} what="copy the file" /><${Button} kind="quiet" onClick=${() => download(file.path, file.text, "text/x-python")}>Download<//></figcaption>
    <div class="source" ref=${box} tabindex="0" role="group" aria-label=${visible(file.path)}>${lines.map((text, at) => html`<${Line} key=${at} number=${at + 1} text=${text} isChosen=${first <= at + 1 && at + 1 <= last} url=${sourceUrl(workflow, query.version, { file: file.path, line: at + 1 })} />`)}</div></figure>`;
}

function Line({ number, text, isChosen, url }) {
  return html`<div class=${isChosen ? "chosen" : ""} aria-current=${isChosen ? "true" : undefined}><a href=${url} tabindex=${isChosen ? 0 : -1} aria-label=${`line ${number}`}>${number}</a><code>${visibleLines(text)}</code></div>`;
}

// A traceback, whose lines of this version's code lead there; who may not read code sees the text.
export function Traceback({ text, workflow, version }) {
  const { result } = useRead(pathOf(workflow, version));
  const pieces = useMemo(() => tracePieces(text, result?.files ?? []), [text, result]);
  return pieces.map((piece) => (piece.place ? html`<a href=${sourceUrl(workflow, version, piece.place)}>${visibleLines(piece.text)}</a>` : visibleLines(piece.text)));
}
