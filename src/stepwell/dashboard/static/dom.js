// Preact and htm, as every other module takes them: `html` makes elements of a template, and text in it stays text.
import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { render } from "./vendor/preact.js";
export { useState, useEffect, useMemo, useRef, useCallback, useId } from "./vendor/hooks.js";
export const html = htm.bind(h);
