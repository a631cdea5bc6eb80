// The answer to what was asked, unfolded: what happened, how sure that is, when and where, the evidence in the order of time, what was
// changed before, where to look next.

import { clock } from "./drawing.js";
import { seen } from "./timeline.js";

export const make = (tag, text, ...children) => {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};

const SIGNALS = { 1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM" };

const same = (row, other) =>
  ["namespace", "workload", "container", "cause"].every((key) => row[key] === other[key]) && JSON.stringify(row.root) === JSON.stringify(other.root);

// Rows that tell the same, each group newest first, in the order of their first.
export function groups(rows) {
  const all = [];
  for (const row of rows) {
    const group = all.find(([first]) => same(first, row));
    if (group) group.push(row);
    else all.push([row]);
  }
  return all.map((group) => group.sort((a, b) => seen(b).localeCompare(seen(a))));
}

// On the same day the time alone.
const from = (at, day) => (at.slice(0, 10) === day.slice(0, 10) ? clock(at).slice(11) : clock(at));
export const often = (group) => (group.length > 1 ? `${group.length} times since ${from(seen(group[group.length - 1]), seen(group[0]))}` : "");

function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [small, large, low, high] = whole < 3600 ? [1, 60, "s", "min"] : whole < 86400 ? [60, 3600, "min", "h"] : [3600, 86400, "h", "d"];
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / large)} ${high} ${Math.floor((whole % large) / small)} ${low}`;
}

function cause(row) {
  if (row.cause === "insufficient-evidence") return row.cause;
  const detail = row.cause_detail && !row.summary.includes(row.cause_detail) ? ` (${row.cause_detail})` : "";
  const way = row.mechanism && row.mechanism !== row.cause ? `, by way of ${row.mechanism}` : "";
  return `${row.cause}${detail}${way}, ${Math.round(row.confidence * 100)} % sure`;
}

// How it stands, and for how long.
function stands(now) {
  if (!now?.since) return now?.text;
  const long = span((Date.parse(now.at) - Date.parse(now.since)) / 1000);
  // What there is instead of a pod that is gone may be newer.
  if (now.state === "gone") return now.text.replace("the pod is gone", `the pod is gone for ${long}`);
  return `${now.text}, ${{ running: `for ${long}`, waiting: `for ${long} by now` }[now.state] || `${long} ago`}`;
}

function when(row, group, now) {
  const at = seen(row);
  if (!at) return "at a time that is not known";
  const after = row.started_at && row.finished_at ? `, ${span((Date.parse(row.finished_at) - Date.parse(row.started_at)) / 1000)} after its start` : "";
  const ago = now ? `, ${span((Date.parse(now.at) - Date.parse(at)) / 1000)} ago` : "";
  return `${clock(at)} UTC${ago}${after}${group.length > 1 ? `; ${often(group)}` : ""}`;
}

function where(row) {
  const pod = row.pod ? `pod ${row.pod} of ${row.workload}` : row.workload;
  const all = [row.container && `container ${row.container}`, pod, `namespace ${row.namespace}`, `team ${row.team}`, row.node && `node ${row.node}`];
  return all.filter(Boolean).join(", ");
}

function ended(row) {
  const known = row.exit_code !== null && row.exit_code !== undefined;
  const signal = SIGNALS[row.signal] ? ` (${SIGNALS[row.signal]})` : "";
  return [known && `exit code ${row.exit_code}${signal}`, row.reason].filter(Boolean).join(", ");
}

const named = (root) => `${root.kind}/${root.name}${root.namespace ? ` in ${root.namespace}` : ""}`;

// What was found, and the same in words where the words add something.
function fact(one) {
  const value = typeof one.value === "string" ? one.value : JSON.stringify(one.value);
  if (!one.text) return value;
  const told = !value || (typeof one.value === "number" && one.source === "metrics") || one.text.includes(value);
  return told ? one.text : `${one.text}: ${value}`;
}

function evidence(row) {
  const pod = row.pod && `Pod/${row.pod}`;
  const sorted = [...row.evidence].sort((a, b) => (a.at || "").localeCompare(b.at || ""));
  return sorted.map((one) =>
    make("li", "", make("time", one.at ? from(one.at, seen(row)) : "-"), make("small", one.source), make("span", `${fact(one)} `),
      make("code", one.object && one.object !== pod ? `${one.object} ${one.field}` : one.field)));
}

const changed = (row) =>
  (row.changes || []).map((one) => {
    const detail = one.detail ? `: ${one.detail}` : "";
    const by = one.by ? `, by ${one.by}` : "";
    return make("li", "", make("time", from(one.at, seen(row))), make("span", `${one.object} ${one.what}${detail}${by}${one.touches ? "" : " (does not touch it)"}`));
  });

const list = (title, items, ...named) => (items.length ? [make("h3", title), Object.assign(make("ul", "", ...items), ...named)] : []);
const next = (steps) => list("Look next", (steps || []).map((step) => make("li", "", make(/^(kubectl|whyd) /.test(step) ? "code" : "span", step))));

function folded(row) {
  if (!row.ruled_out.length) return [];
  const items = row.ruled_out.map((r) => make("li", "", make("span", `${r.cause}: ${r.because} `), make("code", r.field || "")));
  return [make("details", "", make("summary", `Ruled out: ${row.ruled_out.length}`), make("ul", "", ...items))];
}

// One verdict, which `group` tells; `incident` is what leads to its incident.
function verdict(row, group, why, incident) {
  const learning = why.learning && `its metrics, seen since ${clock(why.learning.since)} UTC, were still being learnt: nothing unusual could be found in them`;
  const count = row.restart_count > 0 && `${row.restart_count} before this one, as Kubernetes counts them`;
  const fields = [["cause", cause(row)], ["when", when(row, group, why.now)], ["now", stands(why.now)], ["where", where(row)], ["ended", ended(row)], ["restarts", count],
    ["at fault", row.root && named(row.root)], ["incident", incident], ["learning", learning], ["missing", row.missing.join(", ")]];
  const told = fields.filter(([, said]) => said).flatMap(([name, said]) => [make("dt", name), make("dd", "", said)]);
  return [make("h2", row.summary), make("dl", "", ...told), ...list("Evidence (UTC)", evidence(row), { className: "facts" }),
    ...list("Changed before (UTC)", changed(row), { className: "facts" }), ...next(why.look_next), ...folded(row)];
}

// Of what no object of the cluster is known: what is sent about it.
function heard(one) {
  const lines = (one.lines || []).map((line) => make("li", "", make("time", clock(line.at).slice(11)), make("code", line.line)));
  const said = make("span", `${one.source} of ${one.namespace ? `${one.namespace}/` : ""}${one.pod}, ${clock(one.since)} to ${clock(one.last)} UTC: ${one.text}`);
  return make("li", "", said, Object.assign(make("ul", "", ...lines), { className: "facts" }));
}

// The whole answer; `group` are the rows that tell the same as the first.
export function answer(why, group, incident) {
  // Of what nobody could see nothing is known to be well.
  const unseen = why.problems.find(({ source }) => source === "kubernetes" || source === "pods");
  if (group.length) return verdict(why.restarts[0], group, why, incident);
  const now = why.now ? [make("p", `Now: ${stands(why.now)}.`)] : [];
  if (why.incidents.length) return [make("h2", why.incidents[0].summary), make("p", "Nothing restarted."), ...now, ...next(why.look_next)];
  if (why.heard?.length) return [make("h2", "No restart of it was seen: no object of the cluster says that it is there"), make("ul", "", ...why.heard.map(heard))];
  const calm = unseen ? `No restart of it is known, but ${unseen.detail}` : "It did not restart, and nothing is wrong with it as far as is known";
  return [make("h2", calm), ...now];
}
