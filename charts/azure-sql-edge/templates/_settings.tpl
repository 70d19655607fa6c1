{{/*
What the supervisor is told, in all containers that run it. The values that are the chart's own to give
stand here; any other setting comes from supervisor.settings, whose schema is made from the program's table.
*/}}

{{/* Settings by their name, for all containers alike. */}}
{{- define "azure-sql-edge.settings" -}}
{{- $supervisor := .Values.supervisor -}}
{{- $own := dict
  "listen" (printf "%s:%d" $supervisor.bindAddress (int $supervisor.port))
  "launch-listen" (printf "%s:%d" $supervisor.bindAddress (int $supervisor.livezPort))
  "state-dir" $supervisor.stateDir
  "sql-port" .Values.sql.port
  "sql-user" $supervisor.login.name
  "data-dir" "/var/opt/mssql"
  "lease" (include "azure-sql-edge.lease" .)
  "volume-init" .Values.volume.init
  "termination-grace-period" (printf "%ds" (int .Values.terminationGracePeriodSeconds))
-}}
{{- with .Values.volume.id }}{{- $_ := set $own "volume-id" . }}{{- end -}}
{{- toYaml (merge $own $supervisor.settings) -}}
{{- end -}}

{{/* Settings for the supervisor's own containers only: they name files that no other has, and what goes with them. */}}
{{- define "azure-sql-edge.supervisorSettings" -}}
sql-password-file: /etc/sql-edge-supervisor/login/password
{{- if include "azure-sql-edge.bootstrap" . }}
sql-bootstrap-user: sa
sql-bootstrap-password-file: /etc/sql-edge-supervisor/administrator/password
{{- end }}
{{- with .Values.tls.serverName }}
sql-tls-server-name: {{ . }}
{{- end }}
{{- if include "azure-sql-edge.tlsCa" . }}
sql-tls-ca: /etc/sql-edge-supervisor/tls/ca.crt
{{- end }}
{{- if .Values.volume.idFrom.configMap }}
volume-id-file: /etc/sql-edge-supervisor/volume/id
{{- end }}
{{- if .Values.metrics.collectors }}
collectors-dir: /etc/sql-edge-supervisor/collectors
{{- end }}
{{- if .Values.kubernetesEvents.enabled }}
kubernetes-events: true
{{- end }}
{{- end -}}

{{/* Settings as variables. */}}
{{- define "azure-sql-edge.settingsEnv" -}}
{{- range $key, $value := . }}
- name: SUPERVISOR_{{ $key | upper | replace "-" "_" }}
  value: {{ include "azure-sql-edge.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* Who the pod is. */}}
{{- define "azure-sql-edge.podEnv" -}}
- name: POD_UID
  valueFrom: { fieldRef: { fieldPath: metadata.uid } }
- name: NODE_NAME
  valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
{{- end -}}

{{/* Strict where several nodes can attach the volume: what an existing claim has counts before what the values say of it. */}}
{{- define "azure-sql-edge.lease" -}}
{{- if eq .Values.volume.lease "auto" -}}
{{- has "ReadWriteMany" (include "azure-sql-edge.accessModes" . | fromYamlArray) | ternary "strict" "advisory" -}}
{{- else -}}
{{- .Values.volume.lease -}}
{{- end -}}
{{- end -}}

{{- define "azure-sql-edge.accessModes" -}}
{{- $claim := dict -}}
{{- with .Values.persistence.existingClaim -}}
{{- $claim = lookup "v1" "PersistentVolumeClaim" $.Release.Namespace . | default dict -}}
{{- end -}}
{{- ($claim.spec).accessModes | default (list .Values.persistence.accessMode) | toYaml -}}
{{- end -}}

{{/* "true" where the supervisor makes its own login. */}}
{{- define "azure-sql-edge.bootstrap" -}}
{{- $login := .Values.supervisor.login -}}
{{- if and $login.bootstrap (ne $login.name "sa") -}}true{{- end -}}
{{- end -}}

{{/* "true" where the supervisor verifies the engine's certificate. */}}
{{- define "azure-sql-edge.tlsCa" -}}
{{- if and .Values.tls.secretName .Values.tls.caKey -}}true{{- end -}}
{{- end -}}
