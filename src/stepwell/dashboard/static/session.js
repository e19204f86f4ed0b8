// Who looks: null until the server has said it. See `api/ui/session.py` for its members.
import { Value } from "./store.js";

export const session = new Value(null);
