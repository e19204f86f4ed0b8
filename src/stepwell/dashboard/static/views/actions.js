// What can be done to an instance, at the head of its page.
import { html } from "../dom.js";
import { instancePath, patch } from "../api.js";
import { Button, ErrorBox, FINAL, Menu, toast, useAction } from "../ui.js";

const PAUSABLE = new Set(["queued", "running", "waiting"]);

// The buttons of the head, on a phone one that opens them as a sheet. What the state forbids is not there.
export function Actions({ instance, canWrite, ask, workflow, id, isPhone }) {
  const { status } = instance.head;
  const change = useAction(async (wanted, undone) => {
    await patch(instancePath(workflow, id, "status"), { body: { status: wanted } });
    if (undone) toast(`Told to ${wanted}.`, "good", { name: "Undo", run: () => change.run(undone) });
    instance.read();
  });
  if (!canWrite) return null;
  const isFinal = FINAL.has(status);
  const to = (word, wanted, undone, kind) => ({ word, kind, busy: change.busy, act: () => change.run(wanted, undone) });
  const dialog = (word, name, kind) => ({ word, kind, act: () => ask({ kind: name }) });
  const items = [
    PAUSABLE.has(status) && to("Pause", "pause", "resume"),
    (status === "paused" || status === "waitingForPause") && to("Resume", "resume", "pause", "primary"),
    !isFinal && dialog("Send event", "event"),
    dialog("Restart", "restart"),
    dialog("Fork", "fork"),
    !isFinal && dialog("Terminate", "terminate", "danger"),
    dialog("Delete", "delete", "danger"),
  ].filter(Boolean);
  return html`<div class="row-of acts" role="group" aria-label="Actions">
    ${isPhone ? html`<${Menu} label="Actions" isWord items=${items} />` : items.map(({ word, kind, busy, act }) => html`<${Button} key=${word} kind=${kind} busy=${busy} onClick=${act}>${word}<//>`)}
    ${change.error && html`<${ErrorBox} error=${change.error} />`}</div>`;
}
