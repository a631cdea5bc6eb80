// Shows what the API answers to whoever looks. All of it is put in as text, never as markup.

import { answer, groups, make, often } from "./answer.js";
import { clock } from "./drawing.js";
import { memory } from "./memory.js";
import { seen, timeline } from "./timeline.js";

const EVERY = 15000;
const at = (id) => document.getElementById(id);

async function ask(path) {
  const token = sessionStorage.getItem("token");
  const answer = await fetch(path, { headers: token ? { authorization: `Bearer ${token}` } : {} });
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  const refused = token ? "The token is not accepted: type in another one, or forget it." : "A token is needed to see anything.";
  const error = new Error(answer.status === 401 ? refused : said.detail || said.title || `The answer is ${answer.status}.`);
  // What could have been meant.
  error.candidates = said.candidates || [];
  error.kind = said.type || "";
  error.tokenRefused = answer.status === 401 && Boolean(token);
  throw error;
}

function why(row) {
  const facts = row.evidence.map((e) =>
    make("li", "", make("span", `${e.text}: `), make("code", `${e.field} = ${typeof e.value === "string" ? e.value : JSON.stringify(e.value)}`)));
  const out = row.ruled_out.map((r) => make("li", `not ${r.cause}: ${r.because}`));
  const missing = row.missing.map((source) => make("li", `missing: ${source}`));
  return make("details", "", make("summary", row.summary), make("ul", "", ...facts, ...out, ...missing));
}

// Where each restart and each incident stands, to be shown when what points at it is clicked.
const places = new Map();
const incidents = new Map();

// Something to click that leads to another part of the page; `to` is where it leads where no script is run for it.
function link(text, to, clicked) {
  const anchor = make("a", text);
  anchor.href = to;
  anchor.addEventListener("click", (event) => {
    // A tab of its own is the browser's to open.
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    clicked();
  });
  return anchor;
}

const asked = (name) => `?pod=${encodeURIComponent(name)}`;

function reveal(place) {
  const details = place.querySelector("details");
  if (place.id === "answer" || !details) return place.scrollIntoView();
  const summary = details.querySelector("summary");
  details.open = true;
  summary.scrollIntoView({ block: "center" });
  summary.focus({ preventScroll: true });
}

async function showAsked(name) {
  history.pushState(null, "", asked(name));
  pod = at("pod").value = name;
  await show();
  scrollTo(0, 0);
}

// Its incident where that is shown; else it is asked for.
const showIncident = (id) => (incidents.has(id) ? reveal(incidents.get(id)) : showAsked(id));
const itsIncident = (row, text) => link(text, asked(row.incident_id), () => showIncident(row.incident_id));

// A line for what restarted, or for all that tell the same, of which the first is the newest.
function restart(group) {
  const [row] = group;
  const name = `${row.namespace}/${row.pod || row.workload}${row.container ? ` (${row.container})` : ""}`;
  const when = make("td", clock(seen(row)));
  if (group.length > 1) when.append(make("br"), make("span", often(group)));
  const full = `${row.namespace}/${row.pod || row.workload}`;
  const cause = make("td", row.cause);
  if (row.incident_id) cause.append(make("br"), itsIncident(row, "its incident"));
  const line = make("tr", "", when, make("td", "", link(name, asked(full), () => showAsked(full))), cause, make("td", "", why(row)));
  group.forEach((one) => places.set(one, line));
  return line;
}

// What could have been meant by a name that nothing has, or that there is in several namespaces.
function candidate(name) {
  return make("li", "", link(name, asked(name), () => showAsked(name)));
}

function candidates({ kind, candidates = [] }) {
  const bare = pod.replace(/^\/+/, "");
  return kind.endsWith(":ambiguous-namespace") ? candidates.map((namespace) => `${namespace}/${bare}`) : candidates;
}

// Of what one mark stands for the first is looked at, and all are marked.
function showPlaces(rows) {
  places.forEach((line, row) => line.classList.toggle("chosen", rows.includes(row)));
  reveal(places.get(rows[0]));
}

function suspect(one) {
  const reasons = one.because.map((reason) => make("li", reason));
  return make("li", `${one.namespace ? `${one.namespace}/` : ""}${one.name} (${one.score.toFixed(1)})`, make("ul", "", ...reasons));
}

// Who is likeliest the root is worked out when it is asked for: once for each that is opened.
async function suspects(one, list) {
  list.replaceChildren(make("li", "is being asked for"));
  try {
    const { ranking } = await ask(`api/v1/incidents/${one.id}/suspects`);
    list.replaceChildren(...(ranking.length ? ranking.slice(0, 5).map(suspect) : [make("li", "nobody")]));
  } catch (error) {
    list.replaceChildren(make("li", error.message));
  }
}

// `known` are the restarts that are shown.
function incident(one, known) {
  const ids = [one.id, ...one.parts, ...one.formerly];
  const [members, likeliest] = [make("ul", "", ...one.members.map((member) => make("li", member))), make("ol")];
  const own = known.filter((row) => ids.includes(row.incident_id));
  const here = own.map((row) =>
    make("li", "", link(`${clock(seen(row))} ${row.pod || row.workload}: ${row.cause}`, asked(row.pod || row.workload), () => showPlaces([row]))));
  if (own.length < one.restarts) {
    const is_asked = ids.includes(pod);
    here.push(make("li", "", is_asked ? `${one.restarts - own.length} more, not shown` : link("all of them", asked(one.id), () => showAsked(one.id))));
  }
  const { namespace = "", kind, name } = one.root || {};
  const place = one.root ? (namespace ? `${namespace}/${name}` : `${kind}/${name}`) : one.members[0] || "";
  const summary = make("summary", `${clock(one.opened_at)} ${one.severity}: ${place}: ${one.summary}`);
  const details = make("details", "", summary, make("p", `${one.id}, ${one.status}; ${one.restarts} restarts of`), members, make("p", "Likeliest the root"), likeliest,
    ...(here.length ? [make("p", "Its restarts"), make("ul", "", ...here)] : []));
  details.addEventListener("toggle", () => details.open && !likeliest.children.length && suspects(one, likeliest));
  summary.className = one.severity;
  const item = make("li", "", details);
  ids.forEach((id) => incidents.set(id, item));
  return item;
}

function anomaly(one) {
  const who = `${one.namespace}/${one.pod || one.workload}${one.container ? ` (${one.container})` : ""}`;
  return make("tr", "", make("td", clock(one.at)), make("td", who), make("td", one.score.toFixed(1)), make("td", one.text));
}

// The newest anomalies: of all, or of the workloads that were found and the pod that was asked for.
async function odd(pod, of) {
  if (!pod) return (await ask("api/v1/anomalies?limit=50")).anomalies;
  const known = await of.catch(() => ({ restarts: [] }));
  const named = new Map(known.restarts.map((row) => [`${row.namespace}/${row.workload}`, row]));
  const theirs = [...named.values()].slice(0, 5).map((row) =>
    ask(`api/v1/anomalies?limit=50&namespace=${encodeURIComponent(row.namespace)}&workload=${encodeURIComponent(row.workload)}`));
  const found = await Promise.all([ask(`api/v1/anomalies?limit=50&pod=${encodeURIComponent(pod)}`), ...theirs]);
  const all = new Map(found.flatMap((one) => one.anomalies).map((one) => [JSON.stringify(one), one]));
  return [...all.values()].sort((a, b) => b.at.localeCompare(a.at)).slice(0, 50);
}

// What was asked for last: an answer to an earlier question, with another token perhaps, is not shown.
let turn = 0;
// The name that was asked for: what is being typed is not yet.
const ofAddress = () => new URLSearchParams(location.search).get("pod") || "";
let pod = ofAddress();

// What the pictures show; they are drawn anew where the page gets wider or narrower.
let drawn = [[], []];
let used = null;

function put(id, made) {
  at(id).replaceChildren(...(made ? [made.picture, make("figcaption", made.what)] : []));
  at(id).hidden = !made;
}

function pictures() {
  const wide = document.querySelector("main").clientWidth;
  put("memory", used && memory(used, wide));
  put("timeline", timeline(...drawn, showPlaces, wide));
}

async function show() {
  const mine = ++turn;
  const of = pod ? ask(`api/v1/why?pod=${encodeURIComponent(pod)}`) : ask("api/v1/restarts?limit=50");
  const answers = await Promise.allSettled([of, ask("api/v1/incidents?status=open&limit=50"), odd(pod, of)]);
  if (mine !== turn) return;
  const [rows, open, strange] = answers;
  const known = rows.status === "fulfilled" ? rows.value : { restarts: [], problems: [] };
  const anomalies = strange.status === "fulfilled" ? strange.value : [];
  places.clear();
  incidents.clear();
  const answered = Boolean(pod) && rows.status === "fulfilled";
  const told = answered ? groups(known.restarts) : known.restarts.map((row) => [row]);
  const [own, others] = answered ? [told[0] || [], told.slice(1)] : [[], told];
  at("restarts").replaceChildren(...others.map(restart));
  own.forEach((row) => places.set(row, at("answer")));
  const leads = own.length && own[0].incident_id ? itsIncident(own[0], own[0].incident_id) : "";
  at("answer").replaceChildren(...(answered ? answer(known, own, leads) : []));
  at("answer").hidden = !answered;
  at("problems").replaceChildren(...known.problems.map((p) => make("li", p.detail)));
  history.replaceState(null, "", pod ? asked(pod) : location.pathname);
  const found = known.restarts.length ? `${known.restarts.length} ${known.restarts.length === 1 ? "restart" : "restarts"}` : pod ? "" : "No restart is known.";
  at("state").textContent = rows.status === "fulfilled" ? found : rows.reason.message;
  at("meant").replaceChildren(...(rows.reason?.candidates ? candidates(rows.reason).map(candidate) : []));
  // Asked for one, its own are shown, over or not.
  const of_these = pod ? rows : open;
  // Why there is no answer is said once.
  const again = of_these.reason?.message === at("state").textContent;
  const listed = of_these.status === "fulfilled" ? of_these.value.incidents.map((one) => incident(one, known.restarts)) : [make("li", of_these.reason.message)];
  at("of").textContent = pod ? "Its incidents" : "Open incidents";
  at("of").hidden = at("incidents").hidden = again;
  at("rest").textContent = !pod ? "Newest restarts" : known.matched === "incident" ? "Also in it" : "Before that";
  at("newest").hidden = !others.length;
  at("incidents").replaceChildren(...(listed.length ? listed : [make("li", "none")]));
  at("anomalies").replaceChildren(...anomalies.map(anomaly));
  // That there is none is not the same as that none can be told.
  const silent = strange.status === "fulfilled" || strange.reason.message === at("state").textContent;
  at("unknown").textContent = silent ? "" : `They cannot be told: ${strange.reason.message}`;
  at("unknown").hidden = silent;
  at("strange").hidden = !anomalies.length;
  at("odd").hidden = !anomalies.length && silent;
  drawn = [known.restarts, anomalies];
  used = known.memory || null;
  pictures();
  at("forget").hidden = !answers.some((answer) => answer.reason?.tokenRefused);
}

function keep(token) {
  if (token) sessionStorage.setItem("token", token);
  else sessionStorage.removeItem("token");
  at("token").value = token;
  show();
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  pod = at("pod").value.trim();
  keep(at("token").value.trim());
});
at("forget").addEventListener("click", () => keep(""));
// The field holds what is kept, so that an empty one means that none is to be.
at("token").value = sessionStorage.getItem("token") || "";
at("pod").value = pod;
show();
addEventListener("resize", pictures);
addEventListener("popstate", () => {
  pod = at("pod").value = ofAddress();
  show();
});
// Not while something is read: it would close.
setInterval(() => document.visibilityState === "visible" && !document.querySelector("details[open]") && show(), EVERY);
