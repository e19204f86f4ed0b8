// The list that somebody came from, for the way to the instance before and the one behind.
import { get, ownPath } from "../api.js";
import { go, instanceUrl } from "../router.js";
import { toast } from "../ui.js";

let list = [];

export const keepList = (rows) => (list = rows);

// Who came from no list goes through the newest.
export async function walk(workflow, id, step, query) {
  const place = () => list.findIndex((row) => row.id === id && row.workflow_name === workflow);
  if (place() < 0) list = (await get(`${ownPath(workflow, "instances")}?per_page=100`).catch(() => ({ result: [] }))).result;
  const next = place() < 0 ? undefined : list[place() + step];
  if (next === undefined) toast(`The list has no instance ${step < 0 ? "before" : "behind"} this one.`);
  else go(instanceUrl(next.workflow_name, next.id, { tab: query.tab }));
}
