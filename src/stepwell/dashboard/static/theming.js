// The theme: the system's, or the one that was chosen here. `theme.js` sets it before the page is drawn.
import { Value, remember } from "./store.js";

export const themeNow = new Value(document.documentElement.dataset.theme ?? "system");

export function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  remember("theme", theme);
  themeNow.set(theme);
}
