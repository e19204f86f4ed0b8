import { html } from "../dom.js";

export function Graph() {
  return html`<h1>Graph</h1>`;
}
