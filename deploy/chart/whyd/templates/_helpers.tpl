{{- define "whyd.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end -}}
{{- end }}

{{- define "whyd.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "whyd.labels" -}}
{{ include "whyd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* Where people reach the page. */ -}}
{{- define "whyd.url" -}}
{{- with .Values.ingress.host }}
{{- if $.Values.ingress.tlsSecret }}https{{ else }}http{{ end }}://{{ . }}
{{- else -}}
http://{{ include "whyd.name" . }}.{{ .Release.Namespace }}:8080
{{- end }}
{{- end }}

{{- define "whyd.port" -}}
{{ regexFind "[0-9]+$" (dig "listen" "http" "0.0.0.0:8080" .Values.config) }}
{{- end }}

{{- /* Empty where config.otlp has none of it. */ -}}
{{- define "whyd.otlpGrpcPort" -}}
{{ regexFind "[0-9]+$" (dig "otlp" "grpc" "0.0.0.0:4317" .Values.config) }}
{{- end }}

{{- define "whyd.otlpHttpPort" -}}
{{ regexFind "[0-9]+$" (dig "otlp" "http" "0.0.0.0:4318" .Values.config) }}
{{- end }}

{{- define "whyd.dataDir" -}}
{{ .Values.config.dataDir | default "/var/lib/whyd" }}
{{- end }}

{{- /* Made of config.limits.memory, so that the kernel's limit is never below the daemon's own. */ -}}
{{- define "whyd.resources" -}}
{{- with .Values.resources }}{{ toYaml . }}{{ else }}
{{- $memory := toString (dig "limits" "memory" "2Gi" .Values.config) }}
{{- $units := dict "" 1 "B" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 }}
{{- range $power, $name := list "Ki" "Mi" "Gi" "Ti" }}
{{- $scale := index (list 1024 1048576 1073741824 1099511627776) $power }}
{{- $_ := set $units $name $scale }}
{{- $_ := set $units (printf "%sB" $name) $scale }}
{{- end }}
{{- $unit := get $units (regexFind "[A-Za-z]*$" $memory) }}
{{- $bytes := int64 (mulf (regexFind "^[0-9]+(\\.[0-9]+)?" $memory) ($unit | default 0)) }}
{{- if not $bytes }}{{ fail (printf "config.limits.memory: %q is not a size, write for instance 512Mi or 2Gi" $memory) }}{{ end -}}
requests:
  cpu: 100m
  memory: {{ div $bytes 2097152 }}Mi
limits:
  memory: {{ div (mul $bytes 3) 2097152 }}Mi
{{- end }}
{{- end }}
