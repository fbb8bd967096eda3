{{/* What each process may do: in the cluster, among generated objects, and in its own namespace. */}}

{{- define "experiment-operator.watcher in the cluster" -}}
- apiGroups: [testbench.agentic-layer.ai]
  resources: [experiments]
  verbs: [get, list, watch]
- apiGroups: [testbench.agentic-layer.ai]
  resources: [experiments/status]
  verbs: [patch]
- apiGroups: [runtime.agentic-layer.ai]
  resources: [agents, aigateways]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [otel-config]
  verbs: [list, watch]
{{- end }}

{{- define "experiment-operator.watcher among generated objects" -}}
- apiGroups: [testworkflows.testkube.io]
  resources: [testworkflowtemplates]
  verbs: [list, watch]
# RBAC knows no label selectors.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
- apiGroups: [testworkflows.testkube.io]
  resources: [testworkflows]
  verbs: [get, list, watch]
- apiGroups: [tests.testkube.io]
  resources: [testtriggers]
  verbs: [get, list, watch]
# Testkube's, which say when an execution begins and ends.
- apiGroups: [""]
  resources: [events]
  verbs: [list, watch]
{{- end }}

{{- define "experiment-operator.watcher in its namespace" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "experiment-operator.name" . }}-watcher]
  verbs: [get, patch]
{{- end }}

{{- define "experiment-operator.worker in the cluster" -}}
- apiGroups: [testbench.agentic-layer.ai]
  resources: [experiments]
  verbs: [get, patch]
- apiGroups: [testbench.agentic-layer.ai]
  resources: [experiments/status]
  verbs: [patch]
- apiGroups: [runtime.agentic-layer.ai]
  resources: [agents, aigateways]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [otel-config]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{- define "experiment-operator.worker among generated objects" -}}
- apiGroups: [testworkflows.testkube.io]
  resources: [testworkflowtemplates]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, patch, delete]
- apiGroups: [testworkflows.testkube.io]
  resources: [testworkflows]
  verbs: [get, list, create, patch, delete]
- apiGroups: [tests.testkube.io]
  resources: [testtriggers]
  verbs: [get, list, create, patch, delete]
{{- end }}

{{- define "experiment-operator.worker in its namespace" -}}
{{- end }}

{{- define "experiment-operator.api in the cluster" -}}
- apiGroups: [testbench.agentic-layer.ai]
  resources: [experiments]
  verbs: [list, watch]
- apiGroups: [runtime.agentic-layer.ai]
  resources: [agents, aigateways]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [otel-config]
  verbs: [list, watch]
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end }}

{{- define "experiment-operator.api among generated objects" -}}
- apiGroups: [testworkflows.testkube.io]
  resources: [testworkflowtemplates]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [list, watch]
- apiGroups: [testworkflows.testkube.io]
  resources: [testworkflows]
  verbs: [list, watch]
- apiGroups: [tests.testkube.io]
  resources: [testtriggers]
  verbs: [list, watch]
{{- end }}

{{- define "experiment-operator.api in its namespace" -}}
{{- end }}

{{/* The api's, for the admission webhook: a second look at what an Experiment names, and its own certificate. */}}

{{- define "experiment-operator.webhook in the cluster" -}}
- apiGroups: [runtime.agentic-layer.ai]
  resources: [agents, aigateways]
  verbs: [get]
{{- if not .Values.webhook.tlsSecret }}
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingwebhookconfigurations]
  resourceNames: [{{ include "experiment-operator.name" . }}]
  verbs: [get, list, watch, patch]
{{- end }}
{{- end }}

{{- define "experiment-operator.webhook among generated objects" -}}
- apiGroups: [testworkflows.testkube.io]
  resources: [testworkflowtemplates]
  verbs: [get]
{{- end }}

{{- define "experiment-operator.webhook in its namespace" -}}
{{- if not .Values.webhook.tlsSecret -}}
# RBAC cannot restrict a creation to a name.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ include "experiment-operator.name" . }}-webhook]
  verbs: [get, list, watch, patch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "experiment-operator.name" . }}-webhook]
  verbs: [get, patch]
{{- end }}
{{- end }}
