{{/* The pod, the same in a Deployment and in a StatefulSet. */}}

{{- define "azure-sql-edge.podTemplate" -}}
{{- $native := eq (include "azure-sql-edge.sidecar" .) "native" -}}
metadata:
  labels:
    {{- /* Nothing that changes with the chart's version: it would restart the engine for a label. */ -}}
    {{- $labels := include "azure-sql-edge.selectorLabels" . | fromYaml }}
    {{- merge $labels (dict "app.kubernetes.io/component" "database") (deepCopy .Values.podLabels) .Values.commonLabels | toYaml | nindent 4 }}
  annotations:
    {{- include "azure-sql-edge.podAnnotations" . | nindent 4 }}
spec:
  serviceAccountName: {{ include "azure-sql-edge.serviceAccountName" . }}
  automountServiceAccountToken: false
  # A Service named `mssql-tcp` would else become MSSQL_TCP_PORT.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- if eq .Values.supervisor.mode "attach" }}
  shareProcessNamespace: true
  {{- end }}
  {{- if eq .Values.workload "Deployment" }}
  # 15 characters are what a machine's name may have for SQL Server.
  hostname: {{ .Values.sql.hostname | default (include "azure-sql-edge.fullname" . | trunc 15 | trimSuffix "-") }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "azure-sql-edge.podSecurityContext" . | nindent 4 }}
  initContainers:
    - {{ include "azure-sql-edge.installContainer" . | nindent 6 | trim }}
    {{- if $native }}
    - {{ include "azure-sql-edge.supervisorContainer" . | nindent 6 | trim }}
    {{- else }}
    - {{ include "azure-sql-edge.gateContainer" . | nindent 6 | trim }}
    {{- end }}
  containers:
    - {{ include "azure-sql-edge.sqlContainer" . | nindent 6 | trim }}
    {{- if not $native }}
    - {{ include "azure-sql-edge.supervisorContainer" . | nindent 6 | trim }}
    {{- end }}
  volumes:
    {{- include "azure-sql-edge.volumes" . | nindent 4 }}
  {{- include "azure-sql-edge.scheduling" . | trim | nindent 2 }}
{{- end -}}

{{- define "azure-sql-edge.podAnnotations" -}}
{{- $own := dict "kubectl.kubernetes.io/default-container" "sql" -}}
{{- /* mssql.conf is read at the engine's start only: a new one is a new pod. */ -}}
{{- with include "azure-sql-edge.mssqlConf" . -}}
{{- $_ := set $own "checksum/mssql-conf" (sha256sum .) -}}
{{- end -}}
{{- if .Values.metrics.annotations -}}
{{- $_ := set $own "prometheus.io/scrape" "true" -}}
{{- $_ := set $own "prometheus.io/port" (int .Values.supervisor.port | toString) -}}
{{- $_ := set $own "prometheus.io/path" "/metrics" -}}
{{- end -}}
{{- /* A service mesh must not redirect what the kubelet asks: its proxy runs later. Nobody else reads them. */ -}}
{{- $ports := int .Values.supervisor.port | toString -}}
{{- if eq .Values.supervisor.mode "launch" -}}
{{- $ports = printf "%s,%d" $ports (int .Values.supervisor.livezPort) -}}
{{- end -}}
{{- $mesh := dict "traffic.sidecar.istio.io/excludeInboundPorts" $ports "config.linkerd.io/skip-inbound-ports" $ports -}}
{{- merge $own .Values.podAnnotations $mesh | toYaml -}}
{{- end -}}

{{- define "azure-sql-edge.podSecurityContext" -}}
{{- $context := .Values.podSecurityContext -}}
runAsNonRoot: true
{{- /* Without one the cluster assigns it, and with it the group: OpenShift, which refuses any other. */}}
{{- if not (kindIs "invalid" $context.runAsUser) }}
runAsUser: {{ int64 $context.runAsUser }}
{{- end }}
{{- if not (kindIs "invalid" $context.runAsGroup) }}
runAsGroup: {{ int64 $context.runAsGroup }}
{{- else if not (kindIs "invalid" $context.runAsUser) }}
runAsGroup: {{ int64 (include "azure-sql-edge.engine" . | fromYaml).gid }}
{{- end }}
{{- if not (kindIs "invalid" $context.fsGroup) }}
fsGroup: {{ int64 $context.fsGroup }}
{{- end }}
fsGroupChangePolicy: {{ $context.fsGroupChangePolicy }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The claims beside the first one: where the engine sees them the supervisor does too. */}}
{{- define "azure-sql-edge.moreMounts" -}}
{{- range .Values.persistence.more }}
- name: sql-{{ .name }}
  mountPath: {{ .mountPath }}
{{- end }}
{{- end -}}

{{/* Secrets are for the group: fsGroup is in it, others are not. */}}
{{- define "azure-sql-edge.volumes" -}}
{{- $login := include "azure-sql-edge.loginSecret" . | fromYaml -}}
- name: sqldata
  persistentVolumeClaim:
    claimName: {{ include "azure-sql-edge.claimName" . }}
{{- range .Values.persistence.more }}
- name: sql-{{ .name }}
  persistentVolumeClaim:
    claimName: {{ .existingClaim | default (printf "%s-%s" (include "azure-sql-edge.fullname" $) .name) }}
{{- end }}
- name: supervisor
  emptyDir:
    sizeLimit: 32Mi
- name: supervisor-run
  emptyDir:
    sizeLimit: 16Mi
- name: supervisor-login
  secret:
    secretName: {{ $login.name }}
    defaultMode: 288 # 0440
    items:
      - { key: {{ $login.key }}, path: password }
{{- if include "azure-sql-edge.bootstrap" . }}
{{- $administrator := include "azure-sql-edge.saSecret" . | fromYaml }}
- name: administrator
  secret:
    secretName: {{ $administrator.name }}
    defaultMode: 288 # 0440
    items:
      - { key: {{ $administrator.key }}, path: password }
{{- end }}
{{- if include "azure-sql-edge.mssqlConf" . }}
- name: mssql-conf
  configMap:
    name: {{ include "azure-sql-edge.fullname" . }}-mssql-conf
{{- end }}
{{- with .Values.tls.secretName }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 288 # 0440
    items:
      - { key: tls.crt, path: tls.crt }
      - { key: tls.key, path: tls.key }
{{- end }}
{{- if include "azure-sql-edge.tlsCa" . }}
- name: tls-ca
  secret:
    secretName: {{ .Values.tls.secretName }}
    defaultMode: 288 # 0440
    items:
      - { key: {{ .Values.tls.caKey }}, path: ca.crt }
{{- end }}
{{- with .Values.volume.idFrom.configMap }}
- name: volume-id
  configMap:
    name: {{ . }}
    optional: true
    items:
      - { key: {{ $.Values.volume.idFrom.key }}, path: id }
{{- end }}
{{- if .Values.metrics.collectors }}
- name: collectors
  configMap:
    name: {{ include "azure-sql-edge.fullname" . }}-collectors
{{- end }}
{{- if .Values.kubernetesEvents.enabled }}
# What automountServiceAccountToken would mount, for the supervisor's container alone.
- name: supervisor-token
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3607
      - configMap:
          name: kube-root-ca.crt
          items:
            - { key: ca.crt, path: ca.crt }
      - downwardAPI:
          items:
            - path: namespace
              fieldRef: { fieldPath: metadata.namespace }
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where the pod runs, and how soon it leaves a node that is lost. */}}
{{- define "azure-sql-edge.scheduling" -}}
{{- $seconds := int64 .Values.failover.tolerationSeconds -}}
{{- $tolerations := .Values.tolerations -}}
{{- if $seconds -}}
{{- range list "not-ready" "unreachable" -}}
{{- $taint := dict "key" (printf "node.kubernetes.io/%s" .) "operator" "Exists" "effect" "NoExecute" "tolerationSeconds" $seconds -}}
{{- $tolerations = append $tolerations $taint -}}
{{- end -}}
{{- end -}}
{{- with $tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- $selector := dict "labelSelector" (dict "matchLabels" (include "azure-sql-edge.selectorLabels" $ | fromYaml)) }}
  - {{- merge (deepCopy .) $selector | toYaml | nindent 4 }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
