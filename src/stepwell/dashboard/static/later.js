// What is opened by a click is a file of its own, `more.js`: it is loaded when the first view stands, or when it is asked for sooner.
import { html, useEffect } from "./dom.js";
import { Value, useValue } from "./store.js";
import { ErrorBox, Loading } from "./ui.js";

const CANNOT = "This part of the page cannot be loaded. If the server is another release by now, load the page again.";
const more = new Value({});
let tries = 0;
let isAsked = false;

// A browser may remember by its address what it could not load, so each try has another one.
const load = () => (tries++ ? import(`./more.js?${tries}`) : import("./more.js"));

async function loadMore() {
  if (isAsked) return;
  isAsked = true;
  more.set({});
  try {
    more.set({ views: await load() });
  } catch {
    isAsked = false;
    more.set({ error: new Error(CANNOT) });
  }
}

export const loadWhenIdle = () => (globalThis.requestIdleCallback ? requestIdleCallback(loadMore) : setTimeout(loadMore, 1_000));

// What `more.js` exports under a name. Until it is there rows stand for it; where it does not come, why.
export const later = (name) => (props) => {
  const { views, error } = useValue(more);
  useEffect(() => void loadMore(), []);
  if (views) return html`<${views[name]} ...${props} />`;
  return error ? html`<div ref=${(box) => box?.scrollIntoView({ block: "nearest" })}><${ErrorBox} error=${error} retry=${loadMore} /></div>` : html`<${Loading} />`;
};
