// A picture of what happened when: a lane for each workload, the one that anything befell first on top.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const LANE = 24;
const LABELS = 300;
const LANES = 24;
const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400].map((s) => s * 1000);

function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function said(text) {
  const title = document.createElementNS(SVG, "title");
  title.textContent = text;
  return title;
}

const short = (name) => (name.length > 40 ? `${name.slice(0, 18)}…${name.slice(-21)}` : name);
const lane = (row) => (row.namespace ? `${row.namespace}/${row.workload || row.pod}` : "nodes");
export const clock = (time) => time.slice(0, 19).replace("T", " ");

// Milliseconds, rounded up to a whole step: where the first line of the grid is.
function grid(from, to) {
  const step = STEPS.find((step) => (to - from) / step <= 6) || STEPS[STEPS.length - 1];
  const lines = [];
  for (let at = Math.ceil(from / step) * step; at <= to && lines.length < 8; at += step) lines.push(at);
  return { step, lines };
}

// Restarts and anomalies as marks, each with its text to be pointed at. `chosen` is called with the restart that was clicked.
// Nothing is drawn of a single moment.
export function timeline(restarts, anomalies, chosen) {
  const ends = restarts.map((row) => ({ row, at: Date.parse(row.finished_at || row.started_at) }));
  const odd = anomalies.map((row) => ({ row, at: Date.parse(row.at), until: Date.parse(row.until) }));
  const all = [...ends, ...odd].filter((mark) => !Number.isNaN(mark.at)).sort((a, b) => a.at - b.at);
  const times = all.flatMap((mark) => [mark.at, mark.until || mark.at]);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  if (all.length < 2 || first === last) return null;

  const names = [...new Set(all.map((mark) => lane(mark.row)))];
  const shown = names.slice(0, LANES);
  const pad = (last - first) * 0.03;
  const [from, to] = [first - pad, last + pad];
  const x = (at) => LABELS + ((at - from) / (to - from)) * (WIDTH - LABELS);
  const height = (shown.length + 1) * LANE;

  const { step, lines } = grid(from, to);
  const ruled = lines.map((at) => {
    const text = new Date(at).toISOString();
    const label = draw("text", { x: x(at), y: height - 6, class: "tick" }, step < 60000 ? text.slice(11, 19) : step < 86400000 ? text.slice(11, 16) : text.slice(5, 10));
    return draw("g", {}, draw("line", { x1: x(at), x2: x(at), y1: 0, y2: height - LANE, class: "rule" }), label);
  });
  const labels = shown.map((name, n) => draw("text", { x: 0, y: n * LANE + 16, class: "lane" }, said(name), short(name)));
  const marks = all.filter((mark) => shown.includes(lane(mark.row))).map(({ row, at, until }) => {
    const top = shown.indexOf(lane(row)) * LANE;
    if (until !== undefined) {
      const width = Math.max(x(until) - x(at), 4);
      return draw("rect", { x: x(at), y: top + 3, width, height: 4, class: "anomaly" }, said(`${clock(row.at)} ${row.text}`));
    }
    const borne = row.cause.startsWith("dependency");
    const mark = draw("circle", { cx: x(at), cy: top + 14, r: 5, class: borne ? "borne" : "own" }, said(`${clock(row.finished_at || row.started_at)} ${row.cause}: ${row.summary}`));
    mark.addEventListener("click", () => chosen(row));
    return mark;
  });
  const many = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
  const what = `${many(ends.length, "restart")} and ${odd.length === 1 ? "1 anomaly" : `${odd.length} anomalies`} of ${many(names.length, "workload")}, ${clock(new Date(first).toISOString())} to ${clock(new Date(last).toISOString())} UTC`;
  const picture = draw("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": what }, ...ruled, ...labels, ...marks);
  const legend = "● by a cause of its own  ○ since what it depends on was down  ▬ anomaly";
  const rest = names.length - shown.length;
  return { picture, what: `${legend}. ${what}${rest ? `; ${rest} workloads are left out` : ""}.` };
}
