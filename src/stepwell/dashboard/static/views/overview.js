import { html } from "../dom.js";

export function Overview() {
  return html`<h1>Overview</h1>`;
}
