// The memory of a container against its limit, over its instances.

import { clock, draw, pointed, rules } from "./drawing.js";

// In pixels.
const [TALL, ABOVE, BELOW, LEFT, NAMED] = [120, 16, 22, 70, 90];
// A sample holds for so many of the usual distances: then nothing is known.
const HOLDS = 3;

const mebibytes = (bytes) => `${Math.round(bytes / 1048576)} MiB`;

// The stretches in which it was measured, each within one instance.
function stretches(samples, ends) {
  const apart = samples.slice(1).map((sample, n) => sample.at - samples[n].at).filter((ms) => ms > 0).sort((a, b) => a - b);
  const usual = apart[Math.floor(apart.length / 2)] || 0;
  const all = [];
  samples.forEach((sample, n) => {
    const before = samples[n - 1];
    const goes = before && sample.at - before.at <= HOLDS * usual && !ends.some((end) => before.at < end && end <= sample.at);
    if (goes) all[all.length - 1].push(sample);
    else all.push([sample]);
  });
  return all;
}

// A picture so many pixels wide, and what it says; nothing is drawn of a single sample.
export function memory(use, wide) {
  const samples = use.samples.map(({ at, bytes }) => ({ at: Date.parse(at), bytes })).filter((sample) => Number.isFinite(sample.bytes));
  const ends = use.ends.map((at) => Date.parse(at));
  if (samples.length < 2) return null;
  const [first, last] = [samples[0].at, Math.max(samples[samples.length - 1].at, ...ends)];
  const limit = use.limit_bytes || 0;
  const peak = Math.max(...samples.map((sample) => sample.bytes));
  const top = Math.max(limit, peak);
  if (first === last || top <= 0) return null;

  const x = (at) => LEFT + ((at - first) / (last - first)) * (wide - LEFT - 10);
  const y = (bytes) => ABOVE + TALL * (1 - bytes / top);
  const ruled = rules(first, last, x, [ABOVE, ABOVE + TALL], Math.min(6, (wide - LEFT) / NAMED));
  const bound = limit ? [draw("line", { x1: LEFT, x2: wide, y1: y(limit), y2: y(limit), class: "limit" }),
    draw("text", { x: 0, y: y(limit) + 4, class: "lane" }, mebibytes(limit))] : [];
  const runs = stretches(samples, ends).map((run) =>
    run.length > 1 ? draw("polyline", { points: run.map((sample) => `${x(sample.at)},${y(sample.bytes)}`).join(" "), class: "use" })
      : draw("circle", { cx: x(run[0].at), cy: y(run[0].bytes), r: 2, class: "once" }));
  const ended = ends.filter((at) => at >= first).map((at) =>
    draw("g", { class: "end" }, pointed(`the container ended, ${clock(new Date(at).toISOString())} UTC`), draw("line", { x1: x(at), x2: x(at), y1: ABOVE, y2: ABOVE + TALL })));
  const share = limit ? `, ${Math.round((100 * peak) / limit)} % of the limit` : "";
  const times = ended.length > 1 ? ` ${ended.length} times` : "";
  const what = `Memory, peak ${mebibytes(peak)}${share}, as far as it was measured${ended.length ? `; the container ended${times} where there is a dashed line` : ""}.`;
  return { picture: draw("svg", { viewBox: `0 0 ${wide} ${ABOVE + TALL + BELOW}`, role: "img", "aria-label": what }, ...ruled, ...bound, ...runs, ...ended), what };
}
