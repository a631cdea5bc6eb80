"use strict";
// Shows what the API answers to whoever looks. All of it is put in as text, never as markup.

const at = (id) => document.getElementById(id);
const make = (tag, text, ...children) => {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};

async function ask(path) {
  const token = sessionStorage.getItem("token");
  const answer = await fetch(path, { headers: token ? { authorization: `Bearer ${token}` } : {} });
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  const refused = token ? "The token is not accepted: type in another one, or forget it." : "A token is needed to see anything.";
  const error = new Error(answer.status === 401 ? refused : said.detail || said.title || `The answer is ${answer.status}.`);
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

function restart(row) {
  const when = row.finished_at || row.started_at || "";
  const name = `${row.namespace}/${row.pod || row.workload}${row.container ? ` (${row.container})` : ""}`;
  return make("tr", "", make("td", when.slice(0, 19).replace("T", " ")), make("td", name), make("td", row.cause), make("td", "", why(row)));
}

function incident(one) {
  const item = make("li", `${one.opened_at.slice(0, 19).replace("T", " ")} ${one.severity}: ${one.summary}`);
  item.className = one.severity;
  return item;
}

// What was asked for last: an answer to an earlier question, with another token perhaps, is not shown.
let turn = 0;

async function show() {
  const mine = ++turn;
  const pod = at("pod").value.trim();
  const of = pod ? ask(`api/v1/why?pod=${encodeURIComponent(pod)}`) : ask("api/v1/restarts?limit=50");
  const [rows, open] = await Promise.allSettled([of, ask("api/v1/incidents?status=open&limit=50")]);
  if (mine !== turn) return;
  const known = rows.status === "fulfilled" ? rows.value : { restarts: [], problems: [] };
  at("restarts").replaceChildren(...known.restarts.map(restart));
  at("problems").replaceChildren(...known.problems.map((p) => make("li", p.detail)));
  const found = known.restarts.length ? `${known.restarts.length} restarts` : "No restart is known.";
  at("state").textContent = rows.status === "fulfilled" ? found : rows.reason.message;
  const incidents = open.status === "fulfilled" ? open.value.incidents.map(incident) : [make("li", open.reason.message)];
  at("incidents").replaceChildren(...(incidents.length ? incidents : [make("li", "none")]));
  at("forget").hidden = ![rows, open].some((answer) => answer.reason?.tokenRefused);
}

function keep(token) {
  if (token) sessionStorage.setItem("token", token);
  else sessionStorage.removeItem("token");
  at("token").value = token;
  show();
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  keep(at("token").value.trim());
});
at("forget").addEventListener("click", () => keep(""));
// The field holds what is kept, so that an empty one means that none is to be.
at("token").value = sessionStorage.getItem("token") || "";
show();
