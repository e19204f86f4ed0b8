// A search field that waits until somebody stops typing; `/` leads to it.
import { html, useEffect, useId, useRef, useState } from "../dom.js";

export function Search({ label, value = "", onChange, mono = false }) {
  const id = useId();
  const [typed, setTyped] = useState(value);
  const timer = useRef(0);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (event) => {
    const text = event.target.value;
    setTyped(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onChange(text), 250);
  };
  return html`<div class="field"><label for=${id}>${label}</label><input id=${id} type="search" data-search class=${mono ? "mono" : ""} spellcheck=${false} autocomplete="off" value=${typed} onInput=${type} /></div>`;
}
