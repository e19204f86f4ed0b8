import { html } from "../dom.js";

export function Workflows() {
  return html`<h1>Workflows</h1>`;
}
