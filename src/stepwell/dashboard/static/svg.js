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

// A drawing; `onKey(key)` hears which of its nodes was chosen, by pointer or keyboard.
export function Drawing({ text, onKey }) {
  const ref = useRef(null);
  const theme = useValue(themeNow);
  useEffect(() => {
    const drawn = parseSvg(text);
    drawn.classList.toggle("dark", theme === "dark");
    drawn.classList.toggle("light", theme === "light");
    ref.current.replaceChildren(drawn);
  }, [text, theme]);
  const choose = (event) => {
    const key = event.target.closest?.("[data-key]")?.dataset.key;
    if (key !== undefined && (event.type === "click" || event.key === "Enter")) onKey?.(key);
  };
  return html`<div class="drawing" ref=${ref} onClick=${choose} onKeyDown=${choose}></div>`;
}
