import { html } from "../dom.js";

export function Instances() {
  return html`<h1>Instances</h1>`;
}
