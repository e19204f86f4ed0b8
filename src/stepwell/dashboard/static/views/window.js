// Long lists: only the rows that can be seen are drawn, and a few more.
import { useEffect, useRef, useState } from "../dom.js";

const ALL_UP_TO = 300;
const SPARE = 10;

// Return a ref for what scrolls, and which of `count` rows of that height to draw: { ref, first, last }.
export function useWindow(count, rowHeight) {
  const ref = useRef(null);
  const [range, setRange] = useState([0, 60]);
  useEffect(() => {
    const scroller = ref.current;
    if (!scroller || count <= ALL_UP_TO) return;
    const look = () => {
      const top = Math.floor(scroller.scrollTop / rowHeight / SPARE) * SPARE;
      const seen = Math.ceil(scroller.clientHeight / rowHeight);
      setRange(([first, last]) => (first === top - SPARE && last === top + seen + 2 * SPARE ? [first, last] : [top - SPARE, top + seen + 2 * SPARE]));
    };
    look();
    scroller.addEventListener("scroll", look, { passive: true });
    const observer = new ResizeObserver(look);
    observer.observe(scroller);
    return () => {
      scroller.removeEventListener("scroll", look);
      observer.disconnect();
    };
  }, [count > ALL_UP_TO, rowHeight]);
  if (count <= ALL_UP_TO) return { ref, first: 0, last: count };
  return { ref, first: Math.max(0, Math.min(range[0], count - 1)), last: Math.min(count, range[1]) };
}

// Return the width of an element, as it changes, and its ref.
export function useWidth(otherwise) {
  const ref = useRef(null);
  const [width, setWidth] = useState(otherwise);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

export const PHONE = "(max-width: 40rem)";

// Whether a media query holds, as it changes.
export function useMedia(query) {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const told = () => setMatches(list.matches);
    list.addEventListener("change", told);
    return () => list.removeEventListener("change", told);
  }, [query]);
  return matches;
}
