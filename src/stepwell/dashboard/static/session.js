// Who looks: null until the server has said it. See `api/ui/session.py` for its members.
import { startFrom } from "./live.js";
import { Value } from "./store.js";

export const session = new Value(null);

export function beginSession(found) {
  startFrom(found.mark);
  session.set(found);
}
