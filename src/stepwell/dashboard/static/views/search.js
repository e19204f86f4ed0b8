// A search field that waits until somebody stops typing; `/` leads to it.
import { html, useEffect, useId, useRef, useState } from "../dom.js";

// `onEnter` takes what was typed at once; where it returns true, the field is emptied.
export function Search({ label, kind = "", value = "", onChange, onEnter = onChange }) {
  const id = useId();
  const [typed, setTyped] = useState(value);
  const timer = useRef(0);
  // What was sent comes back as the value; by then more may have been typed.
  useEffect(() => void (timer.current || setTyped(value)), [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (event) => {
    const text = event.target.value;
    setTyped(text);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      timer.current = 0;
      onChange(text);
    }, 250);
  };
  const enter = (event) => {
    if (event.key !== "Enter") return;
    clearTimeout(timer.current);
    timer.current = 0;
    if (onEnter(typed.trim()) === true) setTyped("");
  };
  return html`<div class="field ${kind}"><label for=${id}>${label}</label><input id=${id} type="search" data-search spellcheck=${false} autocomplete="off" value=${typed} onInput=${type} onKeyDown=${enter} /></div>`;
}
