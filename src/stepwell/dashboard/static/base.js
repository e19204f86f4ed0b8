// The path that all of the server's own lie below, where a proxy has it below one; "" where not.
export const BASE = document.documentElement.dataset.base ?? "";

// What of a path lies below it; a path that does not, as a whole.
export const belowBase = (path) => ((path + "/").startsWith(BASE + "/") ? path.slice(BASE.length) || "/" : path);
export const pathNow = () => belowBase(location.pathname);
