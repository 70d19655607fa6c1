{{/*
What values.schema.json can't say: values that contradict each other, the cluster, or the supervisor's own
limits. Each line begins with the key that is to be changed; all are said at once.
*/}}

{{- define "azure-sql-edge.validate" -}}
{{- $mistakes := list -}}
{{- range list "general" "memory" "probes" "stop" "storage" "network" "environment" "metrics" -}}
{{- $found := include (printf "azure-sql-edge.validate.%s" .) $ | trim -}}
{{- if $found -}}{{- $mistakes = append $mistakes $found -}}{{- end -}}
{{- end -}}
{{- if $mistakes -}}
{{- fail (printf "these values can't be used:\n%s" (join "\n" $mistakes)) -}}
{{- end -}}
{{- end -}}

{{- define "azure-sql-edge.validate.general" -}}
{{- $sql := .Values.sql -}}
{{- if not .Values.acceptEula }}
acceptEula: read the licence terms of the engine's image, and accept them by `--set acceptEula=true`
{{- end }}
{{- if and (eq $sql.engine "edge") (not (has $sql.edition (list "Developer" "Premium"))) }}
sql.edition: SQL Edge has Developer and Premium, and no {{ $sql.edition }}; give one of them, or `sql.engine: server`
{{- end }}
{{- if and (eq $sql.engine "server") (eq $sql.edition "Premium") }}
sql.edition: Premium is an edition of SQL Edge; give Standard, Enterprise, Express or Developer
{{- end }}
{{- if and (eq .Values.supervisor.sidecar "native") (semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version) }}
supervisor.sidecar: this cluster, {{ .Capabilities.KubeVersion.Version }}, has no native sidecars, which begin with 1.29; give auto or classic
{{- end }}
{{- if and .Values.auth.existingSecret .Values.auth.password }}
auth.password: is not used beside auth.existingSecret; give one of them
{{- end }}
{{- with .Values.auth.password }}
{{- $kinds := 0 -}}
{{- range list "[a-z]" "[A-Z]" "[0-9]" "[^a-zA-Z0-9]" -}}
{{- if regexMatch . $.Values.auth.password }}{{- $kinds = add1 $kinds -}}{{- end -}}
{{- end -}}
{{- if or (lt (len .) 8) (gt (len .) 128) (lt (int $kinds) 3) }}
auth.password: the engine asks for 8 to 128 characters of three kinds: upper case, lower case, digits, symbols
{{- end }}
{{- end }}
{{- if and .Values.tls.serverName (not .Values.tls.secretName) }}
tls.serverName: has no certificate; give tls.secretName
{{- end }}
{{- if and .Values.tls.serverName .Values.tls.secretName (not .Values.tls.caKey) }}
tls.serverName: proves nothing without CA certificates; give tls.caKey
{{- end }}
{{- if and .Values.tls.forceEncryption (not .Values.tls.secretName) }}
tls.forceEncryption: has no certificate that clients could verify; give tls.secretName
{{- end }}
{{- $state := .Values.supervisor.stateDir -}}
{{- if hasPrefix "/var/opt/mssql/" (printf "%s/" $state) }}
supervisor.stateDir: lies on the volume, where a Unix socket may not be possible; give a directory of its own
{{- end }}
{{- range list "control-socket" "launch-socket" -}}
{{- $path := get $.Values.supervisor.settings . -}}
{{- if and $path (not (hasPrefix (printf "%s/" $state) $path)) }}
supervisor.settings.{{ . }}: does not lie in supervisor.stateDir, {{ $state }}, which alone is mounted in all containers
{{- end }}
{{- end }}
{{- end -}}

{{- define "azure-sql-edge.validate.memory" -}}
{{- $sql := .Values.sql -}}
{{- $engine := include "azure-sql-edge.engine" . | fromYaml -}}
{{- $request := (($sql.resources).requests).memory -}}
{{- $limit := (($sql.resources).limits).memory -}}
{{- $requested := 0 -}}
{{- if $request -}}
{{- $requested = include "azure-sql-edge.bytes" (list "sql.resources.requests.memory" $request) | int64 -}}
{{- end -}}
{{- if $limit -}}
{{- $bytes := include "azure-sql-edge.bytes" (list "sql.resources.limits.memory" $limit) | int64 -}}
{{- if lt $bytes (int64 $engine.leastMemory) }}
sql.resources.limits.memory: {{ $limit }} is less than the engine asks for, {{ div (int64 $engine.leastMemory) 1000000 }}M: it would not start
{{- end }}
{{- if gt $requested $bytes }}
sql.resources.requests.memory: {{ $request }} is above the limit, {{ $limit }}
{{- end }}
{{- if ge (mul (int64 $sql.memory.limitMB) 1048576) $bytes }}
sql.memory.limitMB: {{ int64 $sql.memory.limitMB }} MiB leave nothing of the container's limit, {{ $limit }}, for what the engine does not count; give less, or 0 for a share of it
{{- end }}
{{- end }}
{{- end -}}

{{/* Each probe's period x failureThreshold against what the supervisor itself waits for. */}}
{{- define "azure-sql-edge.validate.probes" -}}
{{- $probes := .Values.probes -}}
{{- $attach := eq .Values.supervisor.mode "attach" -}}
{{- $liveness := $probes.liveness.failureThreshold | default ($attach | ternary 24 3) -}}
{{- range $name, $probe := $probes -}}
{{- if gt (int64 $probe.timeoutSeconds) (int64 $probe.periodSeconds) }}
probes.{{ $name }}.timeoutSeconds: {{ $probe.timeoutSeconds }} is above periodSeconds, {{ $probe.periodSeconds }}: the next one would be due before this one ends
{{- end }}
{{- end }}
{{- $span := mul 1000 (int64 $probes.startup.periodSeconds) (int64 $probes.startup.failureThreshold) -}}
{{- $least := include "azure-sql-edge.settingMilliseconds" (list $ "startup-stalled-after") | int64 -}}
{{- if le $span $least }}
probes.startup.failureThreshold: times periodSeconds it is {{ div $span 1000 }} s, and not above supervisor.settings.startup-stalled-after, {{ div $least 1000 }} s: the kubelet would end a start that the supervisor still waits for
{{- end }}
{{- $span = mul 1000 (int64 $probes.supervisorStartup.periodSeconds) (int64 $probes.supervisorStartup.failureThreshold) -}}
{{- $least = include "azure-sql-edge.settingMilliseconds" (list $ "lease-stale") | int64 -}}
{{- if le $span $least }}
probes.supervisorStartup.failureThreshold: times periodSeconds it is {{ div $span 1000 }} s, and not above supervisor.settings.lease-stale, {{ div $least 1000 }} s: the supervisor would be killed while it waits for another pod's lease to end
{{- end }}
{{- $span = mul 1000 (int64 $probes.supervisorLiveness.periodSeconds) (int64 $probes.supervisorLiveness.failureThreshold) -}}
{{- $least = include "azure-sql-edge.settingMilliseconds" (list $ "decision-stale-after") | int64 -}}
{{- if le $span $least }}
probes.supervisorLiveness.failureThreshold: times periodSeconds it is {{ div $span 1000 }} s, and not above supervisor.settings.decision-stale-after, {{ div $least 1000 }} s: a single late decision would restart the supervisor
{{- end }}
{{- $span = mul 1000 (int64 $probes.readiness.periodSeconds) (int64 $probes.readiness.failureThreshold) -}}
{{- $most := include "azure-sql-edge.settingMilliseconds" (list $ "ready-freshness") | int64 -}}
{{- if gt $span $most }}
probes.readiness.failureThreshold: times periodSeconds it is {{ div $span 1000 }} s, and above supervisor.settings.ready-freshness, {{ div $most 1000 }} s: clients would be sent to an engine that is known to answer nobody
{{- end }}
{{- $span = mul 1000 (int64 $probes.liveness.periodSeconds) (int64 $liveness) -}}
{{- /* Two back-offs of the kubelet, 10 s and 20 s, and the starts between them. */ -}}
{{- $away := 60000 -}}
{{- if and $attach (lt $span $away) }}
probes.liveness.failureThreshold: times periodSeconds it is {{ div $span 1000 }} s; in attach mode give {{ div $away 1000 }} s at the least: a supervisor that is restarted meanwhile answers nobody, and the kubelet would kill a healthy engine for it
{{- end }}
{{- end -}}

{{/* The grace against the ladder that has to fit into it. */}}
{{- define "azure-sql-edge.validate.stop" -}}
{{- $pod := mul 1000 (int64 .Values.terminationGracePeriodSeconds) -}}
{{- with get .Values.supervisor.settings "stop-grace" -}}
{{- if gt (include "azure-sql-edge.milliseconds" . | int64) (sub $pod 1000) }}
supervisor.settings.stop-grace: {{ . }} is above terminationGracePeriodSeconds less 1 s, {{ div (sub $pod 1000) 1000 }} s: the kubelet would kill the engine in the midst of its shutdown
{{- end }}
{{- end }}
{{- $restart := include "azure-sql-edge.settingMilliseconds" (list $ "restart-grace") | int64 -}}
{{- if and (eq (get .Values.supervisor.settings "restart-by" | default "supervisor") "kubelet") (ge $restart $pod) }}
supervisor.settings.restart-grace: is not below terminationGracePeriodSeconds, {{ div $pod 1000 }} s, which is all that the kubelet gives with `restart-by: kubelet`
{{- end }}
{{- end -}}

{{- define "azure-sql-edge.validate.storage" -}}
{{- $claim := .Values.persistence -}}
{{- $modes := include "azure-sql-edge.accessModes" . | fromYamlArray -}}
{{- if and (has "ReadWriteMany" $modes) (not (has .Values.volume.lease (list "auto" "strict"))) }}
volume.lease: has to be strict, or auto, with a volume that several nodes can attach (ReadWriteMany): nothing else keeps two engines from writing it
{{- end }}
{{- if $claim.existingClaim -}}
{{- range list "storageClass" "volumeName" "dataSource" -}}
{{- if get $claim . }}
persistence.{{ . }}: is not used beside persistence.existingClaim; give one of them
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.storageClass.create $claim.storageClass (ne $claim.storageClass (include "azure-sql-edge.storageClassName" .)) }}
persistence.storageClass: is not the class that storageClass.create makes, {{ include "azure-sql-edge.storageClassName" . }}; leave it empty
{{- end }}
{{- $there := lookup "v1" "PersistentVolumeClaim" .Release.Namespace (include "azure-sql-edge.claimName" .) | default dict -}}
{{- if and $there (not $claim.existingClaim) -}}
{{- $has := $there.spec.resources.requests.storage -}}
{{- if lt (include "azure-sql-edge.bytes" (list "persistence.size" $claim.size) | int64) (include "azure-sql-edge.bytes" (list "persistence.size" $has) | int64) }}
persistence.size: the claim has {{ $has }} already, and no claim can be made smaller; give that or more
{{- end }}
{{- $class := include "azure-sql-edge.claimStorageClass" . -}}
{{- if and $class $there.spec.storageClassName (ne $class $there.spec.storageClassName) }}
persistence.storageClass: the claim is of the class {{ $there.spec.storageClassName }} already, which can't be changed; move the data to a new claim, and give that by persistence.existingClaim
{{- end }}
{{- end }}
{{- end -}}

{{- define "azure-sql-edge.validate.network" -}}
{{- $service := .Values.service -}}
{{- $ports := dict -}}
{{- range $key, $port := dict "sql.port" .Values.sql.port "supervisor.port" .Values.supervisor.port "supervisor.livezPort" .Values.supervisor.livezPort -}}
{{- $number := int $port | toString -}}
{{- if hasKey $ports $number }}
{{ $key }}: {{ $number }} is {{ get $ports $number }} as well: the containers of a pod share their ports
{{- end }}
{{- $_ := set $ports $number $key -}}
{{- end }}
{{- if ne $service.type "LoadBalancer" -}}
{{- range list "loadBalancerSourceRanges" "loadBalancerClass" -}}
{{- if get $service . }}
service.{{ . }}: there is no load balancer with service.type {{ $service.type }}; a NetworkPolicy limits the clients of the pod
{{- end }}
{{- end }}
{{- end }}
{{- if eq $service.type "ClusterIP" -}}
{{- range list "nodePort" "externalTrafficPolicy" -}}
{{- if get $service . }}
service.{{ . }}: has no meaning with service.type ClusterIP
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.kubernetesEvents.enabled (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}
kubernetesEvents.enabled: would give `default` of the namespace the right to create events; set serviceAccount.create or serviceAccount.name
{{- end }}
{{- if and .Values.networkPolicy.egress (not .Values.networkPolicy.restrictEgress) }}
networkPolicy.egress: counts with networkPolicy.restrictEgress only
{{- end }}
{{- end -}}

{{- define "azure-sql-edge.validate.environment" -}}
{{- $own := list "ACCEPT_EULA" "MSSQL_PID" "MSSQL_SA_PASSWORD" "SA_PASSWORD" "MSSQL_COLLATION" "MSSQL_LCID" "MSSQL_AGENT_ENABLED" "MSSQL_TCP_PORT" "MSSQL_MEMORY_LIMIT_MB" "POD_UID" "POD_NAME" "NODE_NAME" -}}
{{- $seen := list -}}
{{- range $index, $variable := .Values.sql.extraEnv -}}
{{- if has $variable.name $own }}
sql.extraEnv[{{ $index }}].name: {{ $variable.name }} is given by a value of its own
{{- else if hasPrefix "SUPERVISOR_" $variable.name }}
sql.extraEnv[{{ $index }}].name: {{ $variable.name }} is a setting of the supervisor: give it in supervisor.settings
{{- else if has $variable.name $seen }}
sql.extraEnv[{{ $index }}].name: {{ $variable.name }} stands there twice
{{- end }}
{{- $seen = append $seen $variable.name -}}
{{- end }}
{{- range $key, $value := .Values.supervisor.settings -}}
{{- if kindIs "slice" $value -}}
{{- range $value -}}
{{- if contains "," . }}
supervisor.settings.{{ $key }}: {{ . }} holds a comma, which separates the items of a list in a variable
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "azure-sql-edge.validate.metrics" -}}
{{- $metrics := .Values.metrics -}}
{{- if and $metrics.podMonitor.enabled $metrics.serviceMonitor.enabled }}
metrics.serviceMonitor.enabled: the PodMonitor scrapes the same; enable one of them
{{- end }}
{{- range list "podMonitor" "serviceMonitor" -}}
{{- $monitor := get $metrics . -}}
{{- if gt (include "azure-sql-edge.milliseconds" $monitor.scrapeTimeout | int64) (include "azure-sql-edge.milliseconds" $monitor.interval | int64) }}
metrics.{{ . }}.scrapeTimeout: {{ $monitor.scrapeTimeout }} is above the interval, {{ $monitor.interval }}: Prometheus refuses it
{{- end }}
{{- end }}
{{- end -}}
