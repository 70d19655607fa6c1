{{/* The engine's container. */}}

{{- define "azure-sql-edge.sqlContainer" -}}
{{- $sql := .Values.sql -}}
{{- $engine := include "azure-sql-edge.engine" . | fromYaml -}}
{{- $launch := eq .Values.supervisor.mode "launch" -}}
name: sql
image: {{ include "azure-sql-edge.image" (list $sql.image $engine.repository $engine.tag) }}
imagePullPolicy: {{ $sql.image.pullPolicy }}
{{- if $launch }}
# Without a command it starts what the image would.
command:
  - /supervisor/sql-edge-supervisor
  - launch
  {{- with $sql.command }}
  - --
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- else if $sql.command }}
command: {{- toYaml $sql.command | nindent 2 }}
{{- end }}
env:
  {{- include "azure-sql-edge.sqlEnv" . | nindent 2 }}
  {{- include "azure-sql-edge.podEnv" . | nindent 2 }}
  {{- include "azure-sql-edge.settingsEnv" (include "azure-sql-edge.settings" . | fromYaml) | trim | nindent 2 }}
  {{- with $sql.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: sql
    containerPort: {{ $sql.port }}
  {{- if $launch }}
  - name: livez
    containerPort: {{ .Values.supervisor.livezPort }}
  {{- end }}
{{- $port := .Values.supervisor.port }}
startupProbe:
  {{- include "azure-sql-edge.probe" (list .Values.probes.startup "/startupz" $port 0) | nindent 2 }}
livenessProbe:
  {{- if $launch }}
  {{- include "azure-sql-edge.probe" (list .Values.probes.liveness "/livez" .Values.supervisor.livezPort 3) | nindent 2 }}
  {{- else }}
  {{- include "azure-sql-edge.probe" (list .Values.probes.liveness "/livez" $port 24) | nindent 2 }}
  {{- end }}
readinessProbe:
  {{- include "azure-sql-edge.probe" (list .Values.probes.readiness "/readyz" ($launch | ternary .Values.supervisor.livezPort $port) 0) | nindent 2 }}
lifecycle:
  preStop:
    exec:
      command: [/supervisor/sql-edge-supervisor, stop]
{{- include "azure-sql-edge.restartRules" . }}
# What the supervisor writes there before it restarts the engine, else the log's end.
terminationMessagePolicy: FallbackToLogsOnError
resources: {{- toYaml $sql.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: {{ $sql.allowPrivilegeEscalation }}
  readOnlyRootFilesystem: {{ $sql.readOnlyRootFilesystem }}
  capabilities:
    drop: [ALL]
    # A file capability of sqlservr: without it in the bounding set the kernel refuses to run it.
    add: [NET_BIND_SERVICE]
volumeMounts:
  - name: sqldata
    mountPath: /var/opt/mssql
  {{- with include "azure-sql-edge.moreMounts" . }}
  {{- . | nindent 2 }}
  {{- end }}
  - name: supervisor
    mountPath: /supervisor
    readOnly: true
  - name: supervisor-run
    mountPath: {{ .Values.supervisor.stateDir }}
  {{- if include "azure-sql-edge.mssqlConf" . }}
  - name: mssql-conf
    mountPath: /var/opt/mssql/mssql.conf
    subPath: mssql.conf
    readOnly: true
  {{- end }}
  {{- if .Values.tls.secretName }}
  - name: tls
    mountPath: /etc/mssql-tls
    readOnly: true
  {{- end }}
  {{- with $sql.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The engine's own variables. */}}
{{- define "azure-sql-edge.sqlEnv" -}}
{{- $sql := .Values.sql -}}
{{- $secret := include "azure-sql-edge.saSecret" . | fromYaml -}}
- name: ACCEPT_EULA
  value: "Y"
- name: MSSQL_PID
  value: {{ $sql.edition | quote }}
- name: MSSQL_SA_PASSWORD
  valueFrom:
    secretKeyRef: { name: {{ $secret.name }}, key: {{ $secret.key }} }
{{- if eq $sql.engine "edge" }}
# The name that SQL Edge's tutorial has for it.
- name: SA_PASSWORD
  valueFrom:
    secretKeyRef: { name: {{ $secret.name }}, key: {{ $secret.key }} }
{{- end }}
- name: MSSQL_COLLATION
  value: {{ $sql.collation | quote }}
- name: MSSQL_LCID
  value: {{ int $sql.lcid | quote }}
- name: MSSQL_AGENT_ENABLED
  value: {{ $sql.agent | ternary "TRUE" "FALSE" | quote }}
- name: MSSQL_TCP_PORT
  value: {{ int $sql.port | quote }}
{{- with include "azure-sql-edge.memoryLimitMB" . }}
- name: MSSQL_MEMORY_LIMIT_MB
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* (list values path port threshold): the threshold where the values give none. */}}
{{- define "azure-sql-edge.probe" -}}
{{- $probe := index . 0 -}}
httpGet:
  path: {{ index . 1 }}
  port: {{ index . 2 }}
periodSeconds: {{ int64 $probe.periodSeconds }}
timeoutSeconds: {{ int64 $probe.timeoutSeconds }}
failureThreshold: {{ $probe.failureThreshold | default (index . 3) | int64 }}
{{- end -}}

{{/* The rules by which the container's end restarts the pod's containers, where the cluster has them. */}}
{{- define "azure-sql-edge.restartRules" -}}
{{- if and .Values.sql.restartAllContainersOn (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version) }}
restartPolicy: Always
restartPolicyRules:
  - action: RestartAllContainers
    exitCodes:
      operator: In
      values: {{- toYaml .Values.sql.restartAllContainersOn | nindent 8 }}
{{- end }}
{{- end -}}

{{/* mssql.conf, its sections with what TLS adds; empty where there is nothing to say. */}}
{{- define "azure-sql-edge.mssqlConf" -}}
{{- $tls := dict -}}
{{- if .Values.tls.secretName -}}
{{- $tls = dict "network" (dict
  "tlscert" "/etc/mssql-tls/tls.crt"
  "tlskey" "/etc/mssql-tls/tls.key"
  "tlsprotocols" "1.2"
  "forceencryption" (.Values.tls.forceEncryption | ternary 1 0)) -}}
{{- end -}}
{{- range $section, $keys := mergeOverwrite $tls (deepCopy .Values.sql.conf) -}}
[{{ $section }}]
{{ range $key, $value := $keys -}}
{{ $key }} = {{ include "azure-sql-edge.text" $value }}
{{ end -}}
{{- end -}}
{{- end -}}
