{{- /* Names and labels, and nothing else. */ -}}

{{- /* Of at most 54 characters, so that -operator fits into a label. */ -}}
{{- define "mediabucket.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 54 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 54 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "mediabucket.operator" -}}
{{ include "mediabucket.fullname" . }}-operator
{{- end -}}

{{- define "mediabucket.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "mediabucket.operator" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- /* Never to be changed: a Deployment's selector is immutable. */ -}}
{{- define "mediabucket.selector" -}}
app.kubernetes.io/name: mediabucket-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "mediabucket.ownLabels" -}}
{{ include "mediabucket.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: mediabucket
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* A key that is ours stays ours: twice the same key is no YAML. */ -}}
{{- define "mediabucket.labels" -}}
{{ toYaml (merge (include "mediabucket.ownLabels" . | fromYaml) (.Values.labels | default dict)) }}
{{- end -}}

{{- define "mediabucket.podLabels" -}}
{{ toYaml (merge (include "mediabucket.ownLabels" . | fromYaml) (.Values.podLabels | default dict) (.Values.labels | default dict)) }}
{{- end -}}

{{- /* Not the selector's: the Service must not send to the Pod that tests it. */ -}}
{{- define "mediabucket.testLabels" -}}
{{ toYaml (merge (dict "app.kubernetes.io/name" "mediabucket-operator-test") (include "mediabucket.ownLabels" . | fromYaml) (.Values.labels | default dict)) }}
{{- end -}}

{{- /* Of a dictionary: image, and the version that is its tag unless it names one. */ -}}
{{- define "mediabucket.image" -}}
{{ .image.repository }}:{{ .image.tag | default .version }}{{ with .image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{- /* Of a dictionary: root, and the labels of one monitor or rule. */ -}}
{{- define "mediabucket.monitoringLabels" -}}
{{ toYaml (merge (include "mediabucket.ownLabels" .root | fromYaml) (.labels | default dict) (.root.Values.labels | default dict)) }}
{{- end -}}

{{- /* Grafana's sidecar takes ConfigMaps with the first of them. */ -}}
{{- define "mediabucket.dashboardLabels" -}}
{{ toYaml (merge (dict "grafana_dashboard" "1") (include "mediabucket.ownLabels" . | fromYaml) (.Values.dashboards.labels | default dict) (.Values.labels | default dict)) }}
{{- end -}}

{{- /* Of a dictionary: root, and a generated file, whose links to runbooks then lead to runbooks.url. */ -}}
{{- define "mediabucket.withRunbooks" -}}
{{ .root.Files.Get .file | replace "https://mediabucket.dev/runbooks" .root.Values.runbooks.url | trim }}
{{- end -}}
