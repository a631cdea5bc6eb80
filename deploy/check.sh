#!/usr/bin/env bash
# Whether the chart renders, is what an API server takes, and gives the daemon the rights it needs.
#
# Needs Go, for Helm, python3, and the built daemon (WHYD, default target/release/whyd). With etcd and kubectl on the PATH
# and KUBE_APISERVER=/path/to/kube-apiserver the chart is installed in a scratch API server too.
set -euo pipefail
umask 077
cd "$(dirname "$0")/.."

readonly helm_version=v3.16.4
readonly operator=github.com/prometheus-operator/prometheus-operator@v0.79.2
readonly kubernetes=1.34.2
readonly chart=deploy/chart/whyd
readonly whyd=$(realpath "${WHYD:-target/release/whyd}")
readonly tools=${CARGO_TARGET_DIR:-$PWD/target}/tools
readonly work=$(mktemp -d)
pids=() not_run=()

cleanup() {
  [[ $? -eq 0 || ! -s $work/out ]] || tail -n 20 "$work/out"
  [[ ${#pids[@]} -eq 0 ]] || { kill "${pids[@]}" && wait; } 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

stage() {
  echo "-- $1"
}

skip() {
  not_run+=("$*")
  echo "not run here: $*"
}

helm() {
  HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm "$tools/helm-$helm_version/helm" "$@"
}

# Name and file of each set of values; no file is no value set.
sets() {
  echo "default /dev/null"
  local file
  for file in "$chart"/ci/*-values.yaml; do
    echo "$(basename "$file" -values.yaml) $file"
  done
}

# Rendered as for a cluster with the Prometheus operator.
render() {
  helm template whyd "$chart" -n whyd --kube-version "$kubernetes" --api-versions monitoring.coreos.com/v1 "$@"
}

# The daemon's configuration as the ConfigMap has it.
config_of() {
  sed -n '/^  whyd.yaml: |$/,/^---$/s/^    //p' "$1"
}

refused() {
  local key=$1
  shift
  if render "$@" >"$work/out" 2>&1 || ! grep -q -- "$key" "$work/out"; then
    echo "not refused by the name of $key: $*"
    return 1
  fi
}

stage helm
if [[ ! -x $tools/helm-$helm_version/helm ]]; then
  GOBIN=$tools/helm-$helm_version go install "helm.sh/helm/v3/cmd/helm@$helm_version"
fi

stage lint
while read -r name values; do
  helm lint --strict --quiet "$chart" -f "$values"
done < <(sets)

stage render
mkdir "$work/tokens"
echo platform-token >"$work/tokens/platform"
echo shop-token >"$work/tokens/shop"
echo senders-token >"$work/tokens/senders"
echo pull-token >"$work/tokens/prometheus"
while read -r name values; do
  render -f "$values" >"$work/$name.yaml"
  config_of "$work/$name.yaml" | sed "s|/run/secrets/whyd/|$work/tokens/|" >"$work/$name-whyd.yaml"
  [[ -s $work/$name-whyd.yaml ]]
  "$whyd" check-config "$work/$name-whyd.yaml" >/dev/null
  echo "$name: $(grep -c '^kind: ' "$work/$name.yaml") objects"
done < <(sets)
[[ $(render | grep -c '^kind: \(ServiceMonitor\|PrometheusRule\)') -eq 2 ]]
helm template whyd "$chart" --kube-version "$kubernetes" >"$work/plain.yaml"
[[ $(grep -c '^kind: ' "$work/plain.yaml") -ge 6 ]]
if grep '^kind: \(ServiceMonitor\|PrometheusRule\)' "$work/plain.yaml"; then
  echo "objects of an operator that is not there"
  exit 1
fi
# One of the two tells an incident.
render --set 'config.alertmanager.urls={http://alertmanager:9093}' >"$work/told.yaml"
if grep '^kind: PrometheusRule' "$work/told.yaml"; then
  echo "incidents would be told twice"
  exit 1
fi
grep -q 'externalUrl: http://whyd.whyd:8080$' "$work/told.yaml"
readonly outside=(--set ingress.host=whyd.example.org --set config.access.anonymous=true
  --set config.access.writeTokenFile=/run/secrets/whyd/a --set tokens.secret=whyd)
render "${outside[@]}" --set ingress.tlsSecret=tls --set 'config.alertmanager.urls={http://alertmanager:9093}' >"$work/outside.yaml"
grep -q 'externalUrl: https://whyd.example.org$' "$work/outside.yaml"
grep -q '^kind: Ingress$' "$work/outside.yaml"
grep -q 'tells more: http://whyd.example.org/' <(render "${outside[@]}")

stage refuse
refused imag --set imag.tag=x
refused windw --set config.limits.windw=6h
refused config.limits.memory --set config.limits.memory=2GB
refused config.access.tokens --set-json 'config.access.tokens=[]'
refused tokens.secret --set tokens.metricsKey=platform
refused tokens.secret --set 'config.access.tokens[0].tokenFile=/run/secrets/whyd/a' --set serviceMonitor.enabled=false
refused tokens.secret --set config.access.writeTokenFile=/run/secrets/whyd/a
refused config.access.tokens --set ingress.host=whyd.example.org
refused config.access.writeTokenFile --set ingress.host=whyd.example.org --set config.access.anonymous=true
refused tokens.metricsKey --set 'config.access.tokens[0].tokenFile=/run/secrets/whyd/a' --set tokens.secret=whyd

stage rules
if command -v promtool >/dev/null; then
  promtool check rules "$chart/files/whyd.rules.yaml"
  promtool test rules "$chart/ci/whyd.rules.test.yaml"
else
  skip "promtool check rules, promtool test rules: no promtool (apt-get install prometheus)"
fi

stage dashboards
# What they ask is what whyd answers; their expressions become rules, for promtool to parse.
python3 - "$work/dashboards.rules.yaml" deploy/grafana/dashboards/*.json <<'PYTHON'
import json, re, sys
served = set("sum count avg min max topk by without rate increase label_values".split())
uids, rules = set(), []
for path in sys.argv[2:]:
    board = json.load(open(path))
    uids.add(board["uid"])
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)), f"{path}: two panels of one id"
    known = {v["name"] for v in board["templating"]["list"]}
    exprs = [t["expr"] for p in board["panels"] for t in p["targets"]] + [a["expr"] for a in board["annotations"]["list"]]
    for expr in exprs:
        for name in re.findall(r"\$([a-z]\w*)", expr):
            assert name in known, f"{path}: no variable {name}: {expr}"
        for name in re.findall(r"([a-z_]+) ?\(", expr):
            assert name in served or name.endswith("_over_time"), f"{path}: {name} is not served: {expr}"
        plain = re.sub(r"\$__\w+", "5m", expr)
        rules.append({"record": "dashboards:check", "expr": plain, "labels": {"n": str(len(rules))}})
for path in sys.argv[2:]:
    for uid in re.findall(r'"/d/([\w-]+)', open(path).read()):
        assert uid in uids, f"{path}: a link to {uid}, which is not there"
assert len(uids) == 3 and rules
json.dump({"groups": [{"name": "dashboards", "rules": rules}]}, open(sys.argv[1], "w"))
print(len(uids), "dashboards,", len(rules), "expressions")
PYTHON
if command -v promtool >/dev/null; then
  promtool check rules "$work/dashboards.rules.yaml" >"$work/out"
else
  skip "promtool check rules, of the dashboards: no promtool (apt-get install prometheus)"
fi
# And a daemon that plays a recorded cluster has something to show for each of them.
"$whyd" demo --port 0 >"$work/demo.log" 2>&1 &
pids+=($!)
python3 deploy/dashboards_answered.py "$work/demo.log" deploy/grafana/dashboards/*.json

api_server() {
  local etcd_port peer_port port
  read -r etcd_port peer_port port < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*[s.getsockname()[1] for s in sockets])')
  openssl genrsa -out "$work/sa.key" 2048 2>/dev/null
  echo 'admin,admin,admin,"system:masters"' >"$work/tokens.csv"
  etcd --data-dir "$work/etcd" --listen-client-urls "http://127.0.0.1:$etcd_port" \
    --advertise-client-urls "http://127.0.0.1:$etcd_port" --listen-peer-urls "http://127.0.0.1:$peer_port" \
    >"$work/etcd.log" 2>&1 &
  pids+=($!)
  "$KUBE_APISERVER" --etcd-servers="http://127.0.0.1:$etcd_port" --secure-port="$port" --bind-address=127.0.0.1 \
    --cert-dir="$work/pki" --token-auth-file="$work/tokens.csv" --authorization-mode=RBAC \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$work/sa.key" \
    --service-account-signing-key-file="$work/sa.key" --service-cluster-ip-range=10.0.0.0/24 \
    >"$work/apiserver.log" 2>&1 &
  pids+=($!)
  kubeconfig admin "https://127.0.0.1:$port" >"$work/admin.yaml"
  server=https://127.0.0.1:$port
  export KUBECONFIG=$work/admin.yaml
  for _ in $(seq 120); do
    ! kubectl get --raw /readyz >/dev/null 2>&1 || return 0
    sleep 0.5
  done
  tail -n 5 "$work/apiserver.log"
  return 1
}

kubeconfig() {
  cat <<YAML
apiVersion: v1
kind: Config
clusters: [{name: scratch, cluster: {server: "$2", insecure-skip-tls-verify: true}}]
users: [{name: user, user: {token: "$1"}}]
contexts: [{name: scratch, context: {cluster: scratch, user: user}}]
current-context: scratch
YAML
}

# The pod of a StatefulSet, as its controller would make it.
pod_of() {
  kubectl -n "$1" get statefulset -o json | python3 -c '
import json, sys
[s] = json.load(sys.stdin)["items"]
pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": s["metadata"]["name"] + "-0"}, "spec": s["spec"]["template"]["spec"]}
pod["spec"]["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": "data"}})
json.dump(pod, sys.stdout)'
}

# Installed as users do, in namespaces that admit only restricted pods.
installed() {
  local crds name values
  crds=$(go mod download -json "$operator" | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
  for name in servicemonitors prometheusrules; do
    kubectl apply --server-side -f "$crds/example/prometheus-operator-crd/monitoring.coreos.com_$name.yaml"
  done
  kubectl wait --for=condition=Established crd --all --timeout=30s >/dev/null
  while read -r name values; do
    kubectl create namespace "$name-set" >/dev/null
    kubectl label namespace "$name-set" pod-security.kubernetes.io/enforce=restricted \
      pod-security.kubernetes.io/warn=restricted >/dev/null
    render -n "$name-set" -f "$values" | kubectl apply -n "$name-set" --dry-run=server --validate=strict -f - >"$work/out" 2>&1
    helm install whyd "$chart" -n "$name-set" -f "$values" >>"$work/out" 2>&1
    pod_of "$name-set" | kubectl -n "$name-set" create --dry-run=server -f - >>"$work/out" 2>&1
    if grep -i 'warning' "$work/out"; then return 1; fi
    echo "$name: installed, its pod admitted as restricted"
  done < <(sets)
  # That the admission is there at all:
  if pod_of default-set | sed 's/"runAsNonRoot": true/"runAsNonRoot": false/' |
    kubectl -n default-set create --dry-run=server -f - 2>/dev/null; then
    echo "a pod of root was admitted"
    return 1
  fi
  helm upgrade whyd "$chart" -n default-set --set config.cluster=east --set image.tag=next >/dev/null
  [[ $(kubectl get servicemonitors,prometheusrules -n default-set -o name | wc -l) -eq 2 ]]
}

# The daemon as its ServiceAccount: every list has to come, nothing may be refused.
permitted() {
  local token watched
  : >"$work/out"
  token=$(kubectl -n default-set create token whyd)
  kubeconfig "$token" "$server" >"$work/whyd.yaml"
  for verb in 'get secrets' 'create pods' 'delete pods' 'get configmaps/x --subresource=status'; do
    # shellcheck disable=SC2086
    [[ $(KUBECONFIG=$work/whyd.yaml kubectl auth can-i $verb -A 2>/dev/null) == no ]] || { echo "it may $verb"; return 1; }
  done
  KUBECONFIG=$work/whyd.yaml "$whyd" run --config "$work/default-whyd.yaml" --data-dir "$work/data" \
    --listen 127.0.0.1:0 2>"$work/whyd.log" &
  pids+=($!)
  for _ in $(seq 60); do
    watched=$(grep -c '"message":"listed"' "$work/whyd.log" || true)
    if grep '"message":"watch failed"' "$work/whyd.log"; then return 1; fi
    [[ $watched -lt 11 ]] || break
    sleep 0.5
  done
  echo "$watched of 11 resources listed"
  [[ $watched -eq 11 ]] || { cat "$work/whyd.log"; return 1; }
}

stage kube-apiserver
if [[ -n ${KUBE_APISERVER:-} ]]; then
  api_server
  installed
  permitted
else
  skip "kube-apiserver (KUBE_APISERVER=/path/to/kube-apiserver deploy/check.sh, with etcd and kubectl on the PATH)"
fi

[[ ${#not_run[@]} -eq 0 ]] || printf 'not run here: %s\n' "${not_run[@]}"
