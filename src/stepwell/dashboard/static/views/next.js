// The schedules that fire next, and what tables of schedules have in common.
import { html } from "../dom.js";
import { useRead } from "../api.js";
import { visible } from "../format.js";
import { workflowUrl } from "../router.js";
import { Table, Time } from "../ui.js";

const NEXT = 5;
// What fires next changes by the time alone.
export const MINUTE_MS = 60_000;
export const SCHEDULES = "/stepwell/schedules";
export const workflowColumn = { name: "workflow", kind: "named", cell: (row) => html`<a href=${workflowUrl(row.workflow_name, "schedules")}>${visible(row.workflow_name)}</a>` };
export const cronColumn = { name: "cron", kind: "main", cell: (row) => html`<code>${visible(row.cron)}</code><small>${visible(row.description)}, ${row.time_zone}</small>` };
export const keyOfSchedule = (row) => `${row.workflow_name} ${row.cron}`;

// The schedules that fire at all, the next first; null before they are known.
function useNext() {
  const { result } = useRead(SCHEDULES + "?per_page=100", { every: MINUTE_MS });
  return result ? result.filter((row) => row.next.length > 0 && !row.paused_on).sort((one, other) => one.next[0].localeCompare(other.next[0])) : null;
}

// For each workflow the schedule of it that fires next.
export const useNextByWorkflow = () => new Map((useNext() ?? []).reverse().map((row) => [row.workflow_name, row]));

// The schedules that fire next.
export function NextSchedules() {
  const rows = (useNext() ?? []).slice(0, NEXT);
  const columns = [cronColumn, workflowColumn, { name: "next", kind: "nowrap", cell: (row) => html`<${Time} at=${row.next[0]} />` }];
  return rows.length > 0 && html`<h2>Next <a href="/schedules">schedules</a></h2><${Table} columns=${columns} rows=${rows} keyOf=${keyOfSchedule} label="Next schedules" />`;
}
