{{- define "experiment-operator.name" -}}
{{- if contains "experiment-operator" .Release.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-experiment-operator" .Release.Name }}{{ end }}
{{- end }}

{{- define "experiment-operator.labels" -}}
app.kubernetes.io/part-of: experiment-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Not empty where generated objects may be anywhere. */}}
{{- define "experiment-operator.everywhere" -}}
{{- if or .Values.allNamespaces (eq .Values.settings.TESTKUBE_NAMESPACE ".") }}yes{{ end }}
{{- end }}

{{- define "experiment-operator.settings" -}}
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- if include "experiment-operator.everywhere" . }}
WATCH_ALL_NAMESPACES: "true"
{{- end }}
{{- end }}
