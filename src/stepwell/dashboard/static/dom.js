// Preact and htm, as every other module takes them: `html` makes elements of a template, and text in it stays text.
import { BASE } from "./base.js";
import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { render } from "./vendor/preact.js";
export { useState, useEffect, useMemo, useRef, useCallback, useId } from "./vendor/hooks.js";

// Links are written as if the page were at the root; those to be downloaded are whole addresses already.
const isOurs = (type, props) => BASE && type === "a" && props.href?.startsWith("/") && props.download === undefined;

export const html = htm.bind((type, props, ...children) => h(type, isOurs(type, props) ? { ...props, href: BASE + props.href } : props, ...children));
