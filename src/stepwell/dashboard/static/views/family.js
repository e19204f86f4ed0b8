// The instances that await this one, and those that it awaits, as a tree.
import { html } from "../dom.js";
import { ownInstancePath, useRead } from "../api.js";
import { visible } from "../format.js";
import { instanceUrl } from "../router.js";
import { Loaded, StatusBadge } from "../ui.js";
import { useFollowing } from "./reading.js";

export function Family({ workflow, id, instance }) {
  const parents = instance.own?.parents ?? [];
  const tree = useRead(ownInstancePath(workflow, id, "tree"));
  useFollowing(instance, tree.reload);
  return html`${parents.length > 0 && html`<h2>Awaited by</h2><ul class="family">${parents.map((one) => html`<li><${Member} one=${one} /></li>`)}</ul>`}
    <h2>Awaits</h2><${Loaded} read=${tree}>${({ instances, is_whole: isWhole }) => html`<ul class="family">${instances.map((one) => html`<li style=${{ marginLeft: `min(${one.depth * 24}px, ${Math.min(one.depth, 8) * 8}vw)` }} aria-current=${one.depth === 0 ? "true" : undefined}><${Member} one=${one} /></li>`)}</ul>
      ${instances.length === 1 && html`<p class="muted">No other instance.</p>`}${!isWhole && html`<p class="muted">There are more.</p>`}`}<//>`;
}

function Member({ one }) {
  return html`<${StatusBadge} status=${one.status} /> <a class="mono" href=${instanceUrl(one.workflow, one.id)}>${visible(one.id)}</a> <span class="muted">${visible(one.workflow)}</span>`;
}
