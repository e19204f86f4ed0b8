// How many instances have which status.
import { html } from "../dom.js";
import { count } from "../format.js";
import { Icon, STATUSES } from "../ui.js";

// Chips that are links. `urlOf(status)` is where one leads; `chosen` are those that are filtered by. A zero is dimmed, and with
// `hideZero` left out.
export function Counts({ counts, urlOf, chosen = [], hideZero = false, label = "Instances by status" }) {
  const shown = Object.keys(STATUSES).filter((status) => !hideZero || counts[status] > 0);
  if (!shown.length) return html`<span class="muted">no instances</span>`;
  return html`<ul class="chips" aria-label=${label}>${shown.map((status) => {
    const [word, sign] = STATUSES[status];
    const many = counts?.[status] ?? 0;
    return html`<li key=${status}><a class="chip s-${status} ${many || !counts ? "" : "zero"}" href=${urlOf(status)} aria-current=${chosen.includes(status) ? "true" : undefined}><${Icon} path=${sign} />${word}${counts && html` <b class="num">${count(many)}</b>`}</a></li>`;
  })}</ul>`;
}
