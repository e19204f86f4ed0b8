// Times, durations, numbers and names as people read them. Escaping is Preact's: all of these return text.

const numbers = new Intl.NumberFormat("en");
const exactTime = new Intl.DateTimeFormat("sv", { dateStyle: "short", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat("sv", { timeStyle: "medium" });
const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1_000]];
// Controls, and characters that turn the direction of what follows or cannot be seen.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

export const count = (number) => numbers.format(number);
export const plural = (number, one, many = one + "s") => `${count(number)} ${number === 1 ? one : many}`;

// "2 h 5 m", "12.4 s", "80 ms": two units at the most.
export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "";
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const at = UNITS.findIndex(([, size]) => ms >= size);
  const [unit, size] = UNITS[at];
  const whole = Math.floor(ms / size);
  const rest = UNITS[at + 1] ? Math.floor((ms - whole * size) / UNITS[at + 1][1]) : 0;
  return rest ? `${whole} ${unit} ${rest} ${UNITS[at + 1][0]}` : `${whole} ${unit}`;
}

// "3 m ago", "in 2 h".
export function ago(time, now = Date.now()) {
  const ms = now - Date.parse(time);
  const text = roughly(Math.abs(ms));
  if (!text) return "just now";
  return ms < 0 ? `in ${text}` : `${text} ago`;
}

function roughly(ms) {
  const found = UNITS.find(([, size]) => ms >= size);
  return found && `${Math.floor(ms / found[1])} ${found[0]}`;
}

// In the reader's zone, with seconds: 2026-11-23 10:00:00.
export const exact = (time) => (time ? exactTime.format(new Date(time)) : "");
export const clockTime = (time) => clock.format(new Date(time));

export function bytes(size) {
  if (size < 1_024) return `${size} B`;
  if (size < 1_048_576) return `${Math.round(size / 1_024)} KB`;
  const [unit, of] = size < 1_073_741_824 ? ["MB", 1_048_576] : ["GB", 1_073_741_824];
  return `${(size / of).toFixed(1)} ${unit}`;
}

// Text with what cannot be seen made visible. `visibleLines` leaves line ends and tabs alone.
export const visible = (text) => String(text).replace(HIDDEN, mark);
export const visibleLines = (text) => String(text).replace(HIDDEN, (one) => (one === "\n" || one === "\t" ? one : mark(one)));

function mark(character) {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return `⟦U+${code.toString(16).toUpperCase().padStart(4, "0")}⟧`;
}
