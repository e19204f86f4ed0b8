// Drawings that the server makes, as elements of the page. The one place where text becomes markup: it comes from our own
// routes, which escape all names in it, and the page's policy lets no script of it run.
import { html, useEffect, useRef } from "./dom.js";
import { themeNow } from "./theming.js";
import { useValue } from "./store.js";

const policy = globalThis.trustedTypes?.createPolicy("stepwell-svg", { createHTML: (text) => text });

function parseSvg(text) {
  // Its style is a part of the page's sheet. The policy lets none in that comes with it.
  const plain = text.replace(/<style>[^]*?<\/style>/, "");
  const parsed = new DOMParser().parseFromString(policy ? policy.createHTML(plain) : plain, "image/svg+xml").documentElement;
  if (parsed.localName !== "svg") throw new Error("The drawing could not be read.");
  return document.importNode(parsed, true);
}

const PAN_FROM = 4;

// A drawing; `onKey(key)` hears which of its nodes was chosen, by pointer or keyboard. `scale` is how large it is, of what it is by
// itself; null: as wide as there is room, and no wider than by itself. A drag moves what is larger than its box.
export function Drawing({ text, onKey, scale = null }) {
  const ref = useRef(null);
  const drag = useRef(null);
  const last = useRef(null);
  const theme = useValue(themeNow);
  useEffect(() => {
    const drawn = parseSvg(text);
    drawn.classList.toggle("dark", theme === "dark");
    drawn.classList.toggle("light", theme === "light");
    ref.current.replaceChildren(drawn);
  }, [text, theme]);
  useEffect(() => {
    const box = ref.current;
    const drawn = box.firstElementChild;
    // What is in the middle stays there.
    const middle = [(box.scrollLeft + box.clientWidth / 2) / box.scrollWidth, (box.scrollTop + box.clientHeight / 2) / box.scrollHeight];
    drawn.style.width = scale === null ? "" : `${Number(drawn.getAttribute("width")) * scale}px`;
    if (last.current !== scale) box.scrollTo(middle[0] * box.scrollWidth - box.clientWidth / 2, scale === null ? 0 : middle[1] * box.scrollHeight - box.clientHeight / 2);
    last.current = scale;
  }, [text, theme, scale]);
  const choose = (event) => {
    const key = event.target.closest?.("[data-key]")?.dataset.key;
    if (drag.current?.isFar) return void (drag.current = null);
    if (key !== undefined && (event.type === "click" || event.key === "Enter")) onKey?.(key);
  };
  // A finger scrolls by itself.
  const press = (event) => {
    drag.current = event.button || event.pointerType === "touch" ? null : { x: event.clientX, y: event.clientY, left: ref.current.scrollLeft, top: ref.current.scrollTop };
  };
  const move = (event) => {
    const from = drag.current;
    if (!from || !event.buttons) return;
    const [x, y] = [event.clientX - from.x, event.clientY - from.y];
    // Only then is it no click on a node.
    if (!from.isFar && Math.hypot(x, y) < PAN_FROM) return;
    if (!from.isFar) ref.current.setPointerCapture(event.pointerId);
    from.isFar = true;
    ref.current.scrollTo(from.left - x, from.top - y);
  };
  return html`<div class="drawing ${scale === null ? "fits" : ""}" ref=${ref} tabindex="0" role="group" aria-label="drawing" onClick=${choose} onKeyDown=${choose} onPointerDown=${press} onPointerMove=${move}></div>`;
}
