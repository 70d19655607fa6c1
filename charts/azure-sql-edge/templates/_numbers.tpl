{{/* Quantities and durations as numbers. */}}

{{/* A scalar as text: a YAML number is a float64 here, and 1000000 would become 1e+06. */}}
{{- define "azure-sql-edge.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* Bytes of a Kubernetes quantity: (list key quantity). */}}
{{- define "azure-sql-edge.bytes" -}}
{{- $key := first . -}}
{{- $text := include "azure-sql-edge.text" (last .) -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if not (regexMatch "^[0-9]+([.][0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)?$" $text) -}}
{{- fail (printf "%s: %s is no amount of memory that can be reckoned with: give it as 2Gi, 2048Mi or 2G" $key $text) -}}
{{- end -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- mulf (float64 $number) (float64 (get $units (trimPrefix $number $text))) | floor | int64 -}}
{{- end -}}

{{/* Milliseconds of a duration as the supervisor writes it: 30s, 1m30s, 500ms, 1h, 1day. */}}
{{- define "azure-sql-edge.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "day" 86400000 -}}
{{- $total := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h|day|d)" (toString .) -1 -}}
{{- $number := regexFind "^[0-9]+" . -}}
{{- $total = add $total (mul (int64 $number) (get $units (trimPrefix $number .))) -}}
{{- end -}}
{{- $total -}}
{{- end -}}

{{/* A setting of the supervisor that is a duration, in milliseconds, as it will be in force: (list $ key). */}}
{{- define "azure-sql-edge.settingMilliseconds" -}}
{{- $root := first . -}}
{{- $given := get $root.Values.supervisor.settings (last .) -}}
{{- $defaults := $root.Files.Get "files/settings.yaml" | fromYaml -}}
{{- include "azure-sql-edge.milliseconds" ($given | default (index $defaults (last .))) -}}
{{- end -}}

{{/* MSSQL_MEMORY_LIMIT_MB; empty where the container has no limit. */}}
{{- define "azure-sql-edge.memoryLimitMB" -}}
{{- $memory := .Values.sql.memory -}}
{{- $limit := ((.Values.sql.resources).limits).memory -}}
{{- if $memory.limitMB -}}
{{- int64 $memory.limitMB -}}
{{- else if $limit -}}
{{- $bytes := include "azure-sql-edge.bytes" (list "sql.resources.limits.memory" $limit) | int64 -}}
{{- div (div (mul $bytes (int64 $memory.limitShare)) 100) 1048576 -}}
{{- end -}}
{{- end -}}
