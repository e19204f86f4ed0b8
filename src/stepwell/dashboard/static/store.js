// A value that components follow: `useValue(value)` draws again when it is set.
import { useEffect, useState } from "./dom.js";

export class Value {
  constructor(initial) {
    this.now = initial;
    this.followers = new Set();
  }

  set(next) {
    if (next === this.now) return;
    this.now = next;
    for (const follower of [...this.followers]) follower(next);
  }

  follow(follower) {
    this.followers.add(follower);
    return () => this.followers.delete(follower);
  }
}

export function useValue(value) {
  const [, draw] = useState(null);
  useEffect(() => {
    // It may have been set between the drawing and now.
    draw({});
    return value.follow(() => draw({}));
  }, [value]);
  return value.now;
}

// What this browser remembers; storage may be switched off or full, and then nothing is.
export function remembered(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`stepwell.${key}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(`stepwell.${key}`, typeof value === "string" ? value : JSON.stringify(value));
  } catch {
    // See above.
  }
}

// Forget all whose key begins so.
export function forget(prefix) {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(`stepwell.${prefix}`)) localStorage.removeItem(key);
  } catch {
    // See above.
  }
}
