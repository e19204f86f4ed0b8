// Keys that work everywhere. Each screen adds its own with `useKeys`; none is heard while somebody types, or in a dialog.
import { html, useEffect, useRef, useState } from "./dom.js";
import { isLive, setLive } from "./live.js";
import { go } from "./router.js";
import { Value, remember, remembered, useValue } from "./store.js";
import { Button, Dialog } from "./ui.js";

const isOn = new Value(remembered("keys", true));
const LIST = [["/", "search"], ["j, k, arrows", "next, previous row"], ["Enter, →", "open the row"], ["←", "close the step"], ["x, X", "tick the row, all up to the row"], ["c", "create an instance"], ["e", "send an event"], ["[, ]", "previous, next instance of the list"], ["f", "fold idle time"], ["+, -, 0", "zoom"], ["Esc", "close the step"], ["g then o, w, i, s, j, h", "go to overview, workflows, instances, schedules, jobs, hosts"], ["p", "pause live updates"], ["?", "this list"]];

// `keys` maps a key to what it does.
export function useKeys(keys) {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const hear = (event) => {
      if (!isOn.now || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (event.target.closest?.("input:not([type=checkbox]),textarea,select,dialog,[contenteditable]")) return;
      const act = Object.hasOwn(latest.current, event.key) ? latest.current[event.key] : null;
      if (act && act(event) !== false) event.preventDefault();
    };
    addEventListener("keydown", hear);
    return () => removeEventListener("keydown", hear);
  }, []);
}

// `j` and `k` move among the links of rows, as arrows do once one of them has the focus.
function moveRow(step) {
  const links = [...document.querySelectorAll("tbody a.row")];
  if (!links.length) return;
  const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  links[Math.max(0, Math.min(links.length - 1, at < 0 ? 0 : at + step))].focus();
}

const rowNow = () => document.activeElement?.closest("tbody tr")?.querySelector("a.row");
const inRow = (act) => () => {
  const link = rowNow();
  return link ? act(link) : false;
};

export function Keys() {
  const [shown, setShown] = useState(false);
  const afterG = useRef(0);
  const isAfterG = () => Date.now() - afterG.current < 1_500;
  const goTo = (url) => () => isAfterG() && go(url);
  useKeys({
    "?": () => setShown(true),
    p: () => setLive(!isLive.now),
    g: () => void (afterG.current = Date.now()),
    o: goTo("/"),
    w: goTo("/workflows"),
    i: goTo("/instances"),
    s: goTo("/schedules"),
    h: goTo("/hosts"),
    j: () => (isAfterG() ? go("/jobs") : moveRow(1)),
    k: () => moveRow(-1),
    ArrowDown: inRow(() => moveRow(1)),
    ArrowUp: inRow(() => moveRow(-1)),
    ArrowRight: inRow((link) => link.click()),
    "/": () => {
      const there = document.querySelector("[data-search]");
      if (there) return there.focus();
      go("/instances");
      // Another page takes the focus to its content first.
      setTimeout(() => document.querySelector("[data-search]")?.focus(), 150);
    },
  });
  if (!shown) return null;
  return html`<${Dialog} title="Keys" onClose=${() => setShown(false)}><div class="body"><${KeyList} /></div>
    <footer><${Button} data-focus onClick=${() => setShown(false)}>Close<//></footer><//>`;
}

// All of them, and the switch that turns them off, which this browser remembers.
export function KeyList() {
  const on = useValue(isOn);
  const change = () => (isOn.set(!on), remember("keys", !on));
  return html`<dl class="keys">${LIST.map(([key, does]) => html`<dt><kbd>${key}</kbd></dt><dd>${does}</dd>`)}</dl>
    <label><input type="checkbox" checked=${on} onChange=${change} /> these keys are switched on</label>`;
}
