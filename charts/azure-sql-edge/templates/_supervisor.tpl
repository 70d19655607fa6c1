{{/* The supervisor's containers: install, gate, and itself. */}}

{{/* What all three have. */}}
{{- define "azure-sql-edge.supervisorCommon" -}}
image: {{ include "azure-sql-edge.supervisorImage" . }}
imagePullPolicy: {{ .Values.supervisor.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
resources: {{- toYaml .Values.supervisor.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Copies the binary to where the engine's container finds it. */}}
{{- define "azure-sql-edge.installContainer" -}}
name: install
args: [install, --to, /supervisor]
{{ include "azure-sql-edge.supervisorCommon" . }}
volumeMounts:
  - name: supervisor
    mountPath: /supervisor
{{- end -}}

{{/* What gate and the supervisor have: both hold the volume for this pod. */}}
{{- define "azure-sql-edge.supervisorBody" -}}
{{ include "azure-sql-edge.supervisorCommon" . }}
env:
  {{- include "azure-sql-edge.podEnv" . | nindent 2 }}
  {{- $own := include "azure-sql-edge.supervisorSettings" . | fromYaml }}
  {{- $settings := include "azure-sql-edge.settings" . | fromYaml }}
  {{- include "azure-sql-edge.settingsEnv" (merge $own $settings) | trim | nindent 2 }}
volumeMounts:
  - name: sqldata
    mountPath: /var/opt/mssql
  {{- with include "azure-sql-edge.moreMounts" . }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if include "azure-sql-edge.mssqlConf" . }}
  - name: mssql-conf
    mountPath: /var/opt/mssql/mssql.conf
    subPath: mssql.conf
    readOnly: true
  {{- end }}
  - name: supervisor-run
    mountPath: {{ .Values.supervisor.stateDir }}
  - name: supervisor-login
    mountPath: /etc/sql-edge-supervisor/login
    readOnly: true
  {{- if include "azure-sql-edge.bootstrap" . }}
  - name: administrator
    mountPath: /etc/sql-edge-supervisor/administrator
    readOnly: true
  {{- end }}
  {{- if include "azure-sql-edge.tlsCa" . }}
  - name: tls-ca
    mountPath: /etc/sql-edge-supervisor/tls
    readOnly: true
  {{- end }}
  {{- if .Values.volume.idFrom.configMap }}
  - name: volume-id
    mountPath: /etc/sql-edge-supervisor/volume
    readOnly: true
  {{- end }}
  {{- if .Values.metrics.collectors }}
  - name: collectors
    mountPath: /etc/sql-edge-supervisor/collectors
    readOnly: true
  {{- end }}
  {{- if .Values.kubernetesEvents.enabled }}
  - name: supervisor-token
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
  {{- end }}
{{- end -}}

{{/* Waits for the gate where the supervisor is no native sidecar. */}}
{{- define "azure-sql-edge.gateContainer" -}}
name: gate
args: [gate]
{{ include "azure-sql-edge.supervisorBody" . }}
{{- end -}}

{{- define "azure-sql-edge.supervisorContainer" -}}
{{- $native := eq (include "azure-sql-edge.sidecar" .) "native" -}}
name: supervisor
args: [run]
ports:
  - name: supervisor
    containerPort: {{ .Values.supervisor.port }}
{{- if $native }}
restartPolicy: Always
{{- if ne .Values.supervisor.mode "launch" }}
# The engine is started once the volume is the right one and is held. In launch mode its own container waits for that.
startupProbe:
  {{- include "azure-sql-edge.probe" (list .Values.probes.supervisorStartup "/gatez" .Values.supervisor.port 0) | nindent 2 }}
# In launch mode the first process of this container restarts a supervisor that is not healthy: a restart of the
# container would take the pod out of its Services.
livenessProbe:
  {{- include "azure-sql-edge.probe" (list .Values.probes.supervisorLiveness "/healthz" .Values.supervisor.port 0) | nindent 2 }}
{{- end }}
{{- else }}
# At the pod's end the kubelet stops all ordinary containers at once: this one has to stay until the
# engine is stopped, and `stop` waits for the one of the engine's container. There is no livenessProbe,
# because the kubelet would run preStop before a restart by it, and so stop a healthy engine.
lifecycle:
  preStop:
    exec:
      command: [/sql-edge-supervisor, stop]
{{- end }}
{{ include "azure-sql-edge.supervisorBody" . }}
{{- end -}}
