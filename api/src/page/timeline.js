// A picture of what happened when: a lane for each workload, the one that anything befell first on top. What would lie over each other is
// one mark with how many it stands for.

import { clock, draw, pointed, rules, text } from "./drawing.js";

const LANES = 24;
// In pixels: half a mark of a restart, a mark with a number in it, and what a picture has that leaves no room for names beside the lanes.
const RADIUS = 6;
const NUMBERED = 20;
const NARROW = 700;
const NAMED = 60;

const short = (name, letters) => (name.length > letters ? `${name.slice(0, letters / 2 - 2)}…${name.slice(1 - letters / 2)}` : name);
const lane = (row) => (row.namespace ? `${row.namespace}/${row.workload || row.pod}` : "nodes");
const many = (n, one, more = `${one}s`) => `${n} ${n === 1 ? one : more}`;

// When a restart was seen: what never started has no end, but evidence.
export const seen = (row) => row.finished_at || row.evidence.map((e) => e.at || "").sort().pop() || row.started_at || "";

// Marks of one lane in the order of where they begin: those that would touch are one, which is wide enough for its number.
export function merged(marks) {
  const all = [];
  for (const mark of marks) {
    const last = all[all.length - 1];
    if (last && mark.x0 <= last.x1 + 1) {
      last.rows.push(mark.row);
      last.x1 = Math.max(last.x1, mark.x1, last.x0 + NUMBERED);
    } else {
      all.push({ rows: [mark.row], x0: mark.x0, x1: mark.x1 });
    }
  }
  return all;
}

const isBorne = (row) => row.cause.startsWith("dependency");
const kind = (rows) => (rows.every(isBorne) ? "borne" : rows.some(isBorne) ? "own borne" : "own");
const ofRestart = (row) => `${clock(seen(row))} ${row.cause}: ${row.summary}`;
const ofAnomaly = (row) => `${clock(row.at)} ${row.text}`;

function shape({ rows, x0, x1 }, top, height, name, said) {
  const more = rows.length > 10 ? `\n… and ${rows.length - 10} more` : "";
  const box = draw("rect", { x: x0, y: top, width: x1 - x0, height, rx: Math.min(height, x1 - x0) / 2 });
  const number = rows.length > 1 ? [text({ x: (x0 + x1) / 2, y: top + height - 2.5, class: "number" }, String(rows.length))] : [];
  return draw("g", { class: name }, pointed(rows.slice(0, 10).map(said).join("\n") + more), box, ...number);
}

// Restarts and anomalies as marks, each with its text to be pointed at, in a picture that is so many pixels wide. `chosen` is called with
// the restarts of the mark that was clicked. Nothing is drawn of a single moment.
export function timeline(restarts, anomalies, chosen, wide) {
  const ends = restarts.map((row) => ({ row, at: Date.parse(seen(row)) }));
  const odd = anomalies.map((row) => ({ row, at: Date.parse(row.at), until: Date.parse(row.until) }));
  const all = [...ends, ...odd].filter((mark) => !Number.isNaN(mark.at)).sort((a, b) => a.at - b.at);
  const times = all.flatMap((mark) => [mark.at, mark.until || mark.at]);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  if (all.length < 2 || first === last) return null;

  const names = [...new Set(all.map((mark) => lane(mark.row)))];
  const shown = names.slice(0, LANES);
  const narrow = wide < NARROW;
  const left = narrow ? 0 : Math.min(300, wide * 0.3);
  const [above, tall] = narrow ? [18, 52] : [0, 34];
  const x = (at) => left + NUMBERED / 2 + ((at - first) / (last - first)) * (wide - left - 1.5 * NUMBERED);
  const height = shown.length * tall + 24;

  const ruled = rules(first, last, x, [0, height - 22], Math.min(6, (wide - left) / NAMED));
  const lanes = shown.map((name, n) => {
    const top = n * tall;
    const label = draw("text", { x: 0, y: top + (narrow ? 14 : 21), class: "lane" }, pointed(name), short(name, narrow ? Math.floor(wide / 8) : 40));
    const own = all.filter((mark) => lane(mark.row) === name);
    const bars = own.filter((mark) => mark.until !== undefined).map(({ row, at, until }) => ({ row, x0: x(at), x1: Math.max(x(until || at), x(at) + 4) }));
    const dots = own.filter((mark) => mark.until === undefined).map(({ row, at }) => ({ row, x0: x(at) - RADIUS, x1: x(at) + RADIUS }));
    const drawn = merged(dots).map((mark) => {
      const dot = shape(mark, top + above + 15, 2 * RADIUS, kind(mark.rows), ofRestart);
      dot.setAttribute("tabindex", "0");
      dot.setAttribute("role", "button");
      dot.addEventListener("click", () => chosen(mark.rows));
      dot.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        chosen(mark.rows);
      });
      return dot;
    });
    return draw("g", {}, label, ...merged(bars).map((mark) => shape(mark, top + above + 2, mark.rows.length > 1 ? 11 : 5, "anomaly", ofAnomaly)), ...drawn);
  });
  const what = `${many(ends.length, "restart")} and ${many(odd.length, "anomaly", "anomalies")} of ${many(names.length, "workload")}, ${clock(new Date(first).toISOString())} to ${clock(new Date(last).toISOString())} UTC`;
  const picture = draw("svg", { viewBox: `0 0 ${wide} ${height}`, role: "group", "aria-label": what }, ...ruled, ...lanes);
  const legend = "● by a cause of its own  ○ since what it depends on was down  ◐ some of each  ▬ anomaly; a number is how many lie there";
  const rest = names.length - shown.length;
  return { picture, what: `${legend}. ${what}${rest ? `; ${rest} workloads are left out` : ""}.` };
}
