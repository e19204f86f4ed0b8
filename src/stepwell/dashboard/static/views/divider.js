// What stands between two parts of a page and makes one of them wider, by drag and by keyboard. The browser remembers how wide.
import { html, useState } from "../dom.js";
import { remember, remembered } from "../store.js";

// `{ key, least, most, usual, step }`: how wide something may be, and the steps in which keys change that.
export const NAMES = { key: "names", least: 120, most: 480, usual: 240, step: 16 };
export const PANEL = { key: "panel", least: 25, most: 70, usual: 40, step: 2 };

const within = ({ least, most }, size) => Math.max(least, Math.min(most, Math.round(size)));

// Return a size, and what sets it.
export function useSize(range) {
  const [size, setSize] = useState(() => within(range, Number(remembered(range.key, range.usual)) || range.usual));
  return [size, (to) => (setSize(within(range, to)), remember(range.key, within(range, to)))];
}

// `sizeAt(x, box)` is the size where the pointer is at `x`; `box` is that of what the divider stands in. `grows` is the key that makes
// what it divides off wider. A double click makes it as wide as it usually is.
export function Divider({ range, size, set, sizeAt, grows = "ArrowRight", label, said }) {
  const drag = (event) => event.currentTarget.hasPointerCapture(event.pointerId) && set(sizeAt(event.clientX, event.currentTarget.parentElement.getBoundingClientRect()));
  const press = (event) => {
    if (event.button) return;
    event.preventDefault();
    event.currentTarget.focus();
    event.currentTarget.setPointerCapture(event.pointerId);
  };
  const hear = (event) => {
    const to = { Home: range.least, End: range.most, ArrowLeft: size - range.step, ArrowRight: size + range.step };
    if (!Object.hasOwn(to, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const isTurned = grows === "ArrowLeft" && event.key.startsWith("Arrow");
    set(isTurned ? 2 * size - to[event.key] : to[event.key]);
  };
  return html`<span class="divider" role="separator" tabindex="0" aria-orientation="vertical" aria-label=${label} aria-valuenow=${size} aria-valuetext=${said} aria-valuemin=${range.least} aria-valuemax=${range.most} title="drag, or arrow keys" onPointerDown=${press} onPointerMove=${drag} onDblClick=${() => set(range.usual)} onKeyDown=${hear}></span>`;
}
