"""Asks a running `whyd demo`, whose output is the first argument, all that the dashboards ask; each has to have an answer.

What is not whyd's own may be empty where the recorded cluster has no such exporter; it is named.
"""
import json
import re
import sys
import time
import urllib.parse
import urllib.request

log, *boards = sys.argv[1:]
# Of an exporter that the recorded cluster does not have, or of what it has none.
ABSENT = {"kube_pod_container_status_restarts_total", "kube_pod_container_resource_limits"}


def address():
    """Where the demo serves, once it has played all and says so."""
    for _ in range(600):
        text = open(log).read()
        found = re.search(r"whyd is running on (http://[0-9.:]+)", text)
        if found and "ends the demo" in text:
            return found.group(1)
        time.sleep(0.1)
    sys.exit(f"the demo does not come to its end:\n{text}")


server = address()


def ask(path, **parameters):
    url = f"{server}/prometheus/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)["data"]


with urllib.request.urlopen(f"{server}/api/v1/incidents?status=open") as answer:
    incident = max(json.load(answer)["incidents"], key=lambda i: len(i["members"]))
with urllib.request.urlopen(f"{server}/api/v1/restarts?limit=1000") as answer:
    restarts = json.load(answer)["restarts"]
last = max(r["finished_at"] or r["seen_at"] for r in restarts)
namespace, pod = incident["members"][0].split("/")[:2]
workload = next(r["workload"] for r in restarts if r["pod"] == pod)
at = time.mktime(time.strptime(last[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
values = {"team": incident["team"], "namespace": namespace, "workload": workload, "pod": ".*"}


def filled(text):
    text = re.sub(r"\$__(range|interval|rate_interval)", "5m", text)
    for name, value in values.items():
        text = text.replace(f"${name}", value)
    return text


wrong, absent, asked = [], set(), 0
for path in boards:
    board = json.load(open(path))
    for variable in board["templating"]["list"]:
        query = variable.get("query")
        if isinstance(query, dict):
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", filled(query["query"])).groups()
            asked += 1
            found = ask(f"label/{label}/values", **{"match[]": selector})
            if values[label] not in found and label != "pod" or not found:
                wrong.append(f"{path}: the variable {variable['name']} has {found}")
    exprs = [(p["title"], t["expr"]) for p in board["panels"] for t in p["targets"]]
    exprs += [("annotation", a["expr"]) for a in board["annotations"]["list"]]
    for title, expr in exprs:
        asked += 1
        if ask("query", query=filled(expr), time=at)["result"]:
            continue
        names = {name for name in ABSENT if name in expr}
        absent |= names
        if not names:
            wrong.append(f"{path}: {title}: nothing for {filled(expr)}")
print(asked, "questions of the dashboards;", "not in the recorded cluster:", ", ".join(sorted(absent)) or "nothing")
if wrong:
    sys.exit("\n".join(wrong))
