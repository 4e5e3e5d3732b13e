{{- define "mastery.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "mastery.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mastery.labels" -}}
{{ include "mastery.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "mastery.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* STREAM_SHARDS as a number. */}}
{{- define "mastery.shards" -}}
{{- .Values.settings.STREAM_SHARDS | default 0 | int -}}
{{- end -}}

{{/* One value of a setting as text: a list with commas, a whole number without exponent. */}}
{{- define "mastery.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* The plain settings of a worker, those that the chart decides included: YAML of NAME: text. */}}
{{- define "mastery.settings" -}}
{{- $all := dict -}}
{{- range $name, $value := .Values.settings -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $all $name (include "mastery.text" $value) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $all "HTTP_HOST" .Values.listenAddress -}}
{{- $_ := set $all "HTTP_PORT" "8000" -}}
{{- $_ := set $all "HTTP_INNER_HOST" .Values.listenAddress -}}
{{- $_ := set $all "HTTP_INNER_PORT" "9000" -}}
{{- toYaml $all -}}
{{- end -}}

{{/* The settings from Secrets, as entries of env. Takes a map of setting → name and key. */}}
{{- define "mastery.secretEnv" -}}
{{- range $name, $of := . }}
{{- if $of }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $of.name | quote }}
      key: {{ $of.key | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "mastery.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "mastery.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What pods of workers and of the migration share. */}}
{{- define "mastery.pod" -}}
automountServiceAccountToken: false
# A Service named http or redis would otherwise set HTTP_PORT or REDIS_PORT.
enableServiceLinks: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- include "mastery.podSecurity" . | nindent 2 }}
{{- end -}}

{{/* DNS and the servers. */}}
{{- define "mastery.egress" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
- ports:
    {{- range .Values.networkPolicy.egressPorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicy.egressTo }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
