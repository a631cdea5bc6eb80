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
  const said = await answer.json();
  if (!answer.ok) throw new Error(answer.status === 401 ? "A token is needed to see anything." : said.detail || said.title);
  return said;
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

async function show() {
  const pod = at("pod").value.trim();
  try {
    const of = pod ? ask(`api/v1/why?pod=${encodeURIComponent(pod)}`) : ask("api/v1/restarts?limit=50");
    const [rows, open] = await Promise.all([of, ask("api/v1/incidents?status=open&limit=50")]);
    at("restarts").replaceChildren(...rows.restarts.map(restart));
    at("incidents").replaceChildren(...(open.incidents.length ? open.incidents.map(incident) : [make("li", "none")]));
    at("problems").replaceChildren(...rows.problems.map((p) => make("li", p.detail)));
    at("state").textContent = rows.restarts.length ? `${rows.restarts.length} restarts` : "No restart is known.";
  } catch (e) {
    for (const id of ["restarts", "incidents", "problems"]) at(id).replaceChildren();
    at("state").textContent = e.message;
  }
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = at("token").value.trim();
  if (token) sessionStorage.setItem("token", token);
  at("token").value = "";
  show();
});
show();
