// A drawing with what it is looked at with: larger, smaller, as wide as there is room, and saved.
import { html, useEffect, useRef, useState } from "../dom.js";
import { useKeys } from "../keys.js";
import { Drawing } from "../svg.js";
import { Button, download } from "../ui.js";

const SCALES = [0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4];

// `name` is that of the file. `hasKeys`: where there is but one, `+`, `-` and `0` are heard.
export function Canvas({ text, name, onKey, hasKeys = false, children }) {
  const [scale, setScale] = useState(null);
  const ref = useRef(null);
  const now = () => {
    const drawn = ref.current.querySelector("svg");
    return drawn.getBoundingClientRect().width / Number(drawn.getAttribute("width"));
  };
  const larger = () => setScale(SCALES.find((one) => one > now() * 1.05) ?? SCALES.at(-1));
  const smaller = () => setScale(SCALES.findLast((one) => one < now() * 0.95) ?? SCALES[0]);
  useKeys(hasKeys ? { "+": larger, "-": smaller, 0: () => setScale(null) } : {});
  useEffect(() => {
    const wheel = (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      (event.deltaY < 0 ? larger : smaller)();
    };
    ref.current.addEventListener("wheel", wheel, { passive: false });
    return () => ref.current?.removeEventListener("wheel", wheel);
  }, []);
  return html`<div class=${onKey ? "chosen-by" : ""} ref=${ref}><div class="row-of tools-of">
      <${Button} aria-label="zoom in" title="+" disabled=${scale === SCALES.at(-1)} onClick=${larger}>+<//><${Button} aria-label="zoom out" title="-" disabled=${scale === SCALES[0]} onClick=${smaller}>-<//>
      <${Button} aria-pressed=${scale === null} title="0" onClick=${() => setScale(null)}>Fit<//><span class="muted num" role="status">${scale !== null && `${Math.round(100 * scale)} %`}</span>
      <${Button} onClick=${() => download(`${name}.svg`, text, "image/svg+xml")}>Download SVG<//>${children}</div>
    <${Drawing} text=${text} scale=${scale} onKey=${onKey} /></div>`;
}
