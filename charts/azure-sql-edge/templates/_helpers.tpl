{{/* Names, labels, images: what several objects share. */}}

{{- define "azure-sql-edge.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 52 characters at most: the suffixes of other objects, and what a StatefulSet adds, stay within 63. */}}
{{- define "azure-sql-edge.fullname" -}}
{{- $name := include "azure-sql-edge.name" . -}}
{{- $made := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $made | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "azure-sql-edge.selectorLabels" -}}
app.kubernetes.io/name: {{ include "azure-sql-edge.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of an object: (list $ more). The chart's own count before those of the values, and each stands once. */}}
{{- define "azure-sql-edge.labels" -}}
{{- $root := first . -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "app.kubernetes.io/component" "database"
-}}
{{- $selector := include "azure-sql-edge.selectorLabels" $root | fromYaml -}}
{{- merge $own $selector (deepCopy (last .)) $root.Values.commonLabels | toYaml -}}
{{- end -}}

{{/* Name, namespace and labels of an object: (list $ suffix more-labels). */}}
{{- define "azure-sql-edge.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "azure-sql-edge.fullname" $root }}{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "azure-sql-edge.labels" (list $root (index . 2)) | nindent 2 }}
{{- end -}}

{{- define "azure-sql-edge.serviceAccountName" -}}
{{- $own := .Values.serviceAccount.create | ternary (include "azure-sql-edge.fullname" .) "default" -}}
{{- .Values.serviceAccount.name | default $own -}}
{{- end -}}

{{- define "azure-sql-edge.claimName" -}}
{{- .Values.persistence.existingClaim | default (printf "%s-data" (include "azure-sql-edge.fullname" .)) -}}
{{- end -}}

{{- define "azure-sql-edge.storageClassName" -}}
{{- .Values.storageClass.name | default (include "azure-sql-edge.fullname" .) -}}
{{- end -}}

{{/* What an engine brings with it. */}}
{{- define "azure-sql-edge.engine" -}}
{{- if eq .Values.sql.engine "edge" -}}
repository: mcr.microsoft.com/azure-sql-edge
tag: 2.0.0
passwordKey: SA_PASSWORD
# The group of `mssql` in the image.
gid: 0
# What it asks for at the least: 1 GB.
leastMemory: 1000000000
{{- else -}}
repository: mcr.microsoft.com/mssql/server
tag: 2022-latest
passwordKey: MSSQL_SA_PASSWORD
gid: 10001
# "This program requires a machine with at least 2000 megabytes of memory."
leastMemory: 2000000000
{{- end -}}
{{- end -}}

{{/* (list image repository tag): where the values name none, these. */}}
{{- define "azure-sql-edge.image" -}}
{{- $image := index . 0 -}}
{{- $repository := $image.repository | default (index . 1) -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ $image.tag | default (index . 2) }}
{{- end -}}
{{- end -}}

{{- define "azure-sql-edge.supervisorImage" -}}
{{- include "azure-sql-edge.image" (list .Values.supervisor.image .Values.supervisor.image.repository .Chart.AppVersion) -}}
{{- end -}}

{{/* native or classic. Native sidecars are on by default from Kubernetes 1.29 on. */}}
{{- define "azure-sql-edge.sidecar" -}}
{{- if eq .Values.supervisor.sidecar "auto" -}}
{{- semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version | ternary "native" "classic" -}}
{{- else -}}
{{- .Values.supervisor.sidecar -}}
{{- end -}}
{{- end -}}

{{/* The Secret of sa, and its key. */}}
{{- define "azure-sql-edge.saSecret" -}}
name: {{ .Values.auth.existingSecret | default (include "azure-sql-edge.fullname" .) }}
key: {{ .Values.auth.passwordKey | default (include "azure-sql-edge.engine" . | fromYaml).passwordKey }}
{{- end -}}

{{/* The Secret of the supervisor's login, and its key: sa's own where no other is named. */}}
{{- define "azure-sql-edge.loginSecret" -}}
{{- $login := .Values.supervisor.login -}}
{{- if $login.existingSecret -}}
name: {{ $login.existingSecret }}
key: {{ $login.passwordKey }}
{{- else if eq $login.name "sa" -}}
{{ include "azure-sql-edge.saSecret" . }}
{{- else -}}
name: {{ include "azure-sql-edge.fullname" . }}-supervisor
key: {{ $login.passwordKey }}
{{- end -}}
{{- end -}}

{{/* A password for a Secret of the chart's, in base64: (list $ name key given). The one that is there is kept. */}}
{{- define "azure-sql-edge.password" -}}
{{- $root := index . 0 -}}
{{- $given := index . 3 -}}
{{- $there := (lookup "v1" "Secret" $root.Release.Namespace (index . 1)) | default dict -}}
{{- $kept := get (get $there "data" | default dict) (index . 2) -}}
{{- if $given -}}
{{ $given | b64enc }}
{{- else if $kept -}}
{{ $kept }}
{{- else -}}
{{- /* The engine wants three of: upper case, lower case, digits, symbols. */ -}}
{{ printf "%s-%s-%s-%s" (randAlphaNum 16) (randAlpha 4 | upper) (randAlpha 4 | lower) (randNumeric 4) | b64enc }}
{{- end -}}
{{- end -}}
