import { html } from "../dom.js";

export function Versions() {
  return html`<h1>Versions</h1>`;
}
