{{/* Refuses values that would give pods that can't work, with a sentence each. */}}
{{- define "mastery.checks" -}}
{{- $known := .Files.Get "files/settings.json" | fromJson -}}
{{- $given := dict -}}
{{- range $name, $value := .Values.settings -}}
{{- $kind := get $known $name -}}
{{- if not $kind -}}
{{- fail (printf "settings.%s is no setting of the engine: see docs/reference/settings.md" $name) -}}
{{- else if eq $kind "chart" -}}
{{- fail (printf "settings.%s is decided by the chart: leave it out" $name) -}}
{{- else if eq $kind "secret" -}}
{{- fail (printf "settings.%s is a secret: put it into a Secret, and name that in secrets.%s" $name $name) -}}
{{- end -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $given $name $value -}}
{{- end -}}
{{- end -}}
{{- range $name, $of := .Values.secrets -}}
{{- $kind := get $known $name -}}
{{- if not $kind -}}
{{- fail (printf "secrets.%s is no setting of the engine: see docs/reference/settings.md" $name) -}}
{{- else if eq $kind "chart" -}}
{{- fail (printf "secrets.%s is decided by the chart: leave it out" $name) -}}
{{- else if and $of (hasKey $given $name) -}}
{{- fail (printf "%s is in settings and in secrets: leave one out" $name) -}}
{{- end -}}
{{- if $of -}}
{{- $_ := set $given $name $of -}}
{{- end -}}
{{- end -}}
{{- if not (hasKey $given "REDIS_URL") -}}
{{- fail "secrets.REDIS_URL is missing: name the Secret that holds it, for the pods share no embedded Redis" -}}
{{- end -}}
{{- if not (or (hasKey $given "DATABASE_URL") (hasKey $given "SUPABASE_URL")) -}}
{{- fail "secrets.DATABASE_URL and SUPABASE_URL are missing: give one, for the pods share no embedded Postgres" -}}
{{- end -}}
{{- if not (hasKey $given "NEO4J_URI") -}}
{{- fail "NEO4J_URI is missing: give it in settings or secrets, for the pods share no embedded graph" -}}
{{- end -}}
{{- $shards := include "mastery.shards" . | int -}}
{{- if and .Values.redis.cluster (lt $shards 1) -}}
{{- fail "redis.cluster needs settings.STREAM_SHARDS of 1 or more: the plain streams share no slot of a Redis Cluster" -}}
{{- end -}}
{{- if and .Values.migrations.enabled (not .Values.migrations.databaseUrlSecret) (not (get .Values.secrets "DATABASE_URL")) -}}
{{- fail "migrations need a direct connection: set migrations.databaseUrlSecret, or set migrations.enabled to false and run `supabase db push`" -}}
{{- end -}}
{{- with .Values.autoscaling -}}
{{- if .enabled -}}
{{- if lt $shards 1 -}}
{{- fail "autoscaling needs settings.STREAM_SHARDS of 1 or more: the plain stream has one reader, and more workers only stand by" -}}
{{- end -}}
{{- if gt (int .maxReplicas) $shards -}}
{{- fail (printf "autoscaling.maxReplicas is %d, but only %d workers can read %d shards: give at most %d, or 0 for as many as shards" (int .maxReplicas) $shards $shards $shards) -}}
{{- end -}}
{{- if gt (int .minReplicas) (int (.maxReplicas | default $shards)) -}}
{{- fail (printf "autoscaling.minReplicas is %d, more than the %d of maxReplicas" (int .minReplicas) (int (.maxReplicas | default $shards))) -}}
{{- end -}}
{{- if not .redis.address -}}
{{- fail "autoscaling.redis.address is missing: HOST:PORT at which KEDA reaches Redis, for it can't read REDIS_URL" -}}
{{- end -}}
{{- if not $.Values.workers.engine.enabled -}}
{{- fail "autoscaling scales workers.engine, which is not enabled: enable it, or turn autoscaling off" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $worker := .Values.workers -}}
{{- $wait := ternary (int $.Values.preStopSeconds) 0 $worker.public -}}
{{- if lt (int $.Values.terminationGracePeriodSeconds) (int (add 30 $wait)) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d, but workers.%s needs %d s: up to 30 s to stop, and its preStopSeconds before" (int $.Values.terminationGracePeriodSeconds) $name (int (add 30 $wait))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
