{{/* The head of all names: RELEASE, where it says kiln already, else RELEASE-kiln. */}}
{{- define "kiln.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name -}}
{{- end -}}
{{- end -}}

{{/* The operator's name. A name that is cut might be another's, so a long one is refused. */}}
{{- define "kiln.operator" -}}
{{- $name := printf "%s-operator" (include "kiln.fullname" .) -}}
{{- if gt (len $name) 45 -}}
{{- fail (printf "the name %s is longer than 45 characters: choose a shorter release name, or set fullnameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "kiln.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "kiln.operator" .) .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else -}}
{{- fail "serviceAccount.name: name one that exists, or set serviceAccount.create: true" -}}
{{- end -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "kiln.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: kiln
{{ include "kiln.selector" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels that choose the operator's pods. They never change: a Deployment's selector cannot. */}}
{{- define "kiln.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* (dict "image" IMAGE "version" APP-VERSION) as a reference. A digest wins over a tag. */}}
{{- define "kiln.image" -}}
{{- $name := .image.repository -}}
{{- if .image.registry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" .image.registry) $name -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .version .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "kiln.operatorImage" -}}
{{- include "kiln.image" (dict "image" .Values.operator.image "version" .Chart.AppVersion) -}}
{{- end -}}

{{- define "kiln.modelImage" -}}
{{- include "kiln.image" (dict "image" .Values.model.image "version" .Chart.AppVersion) -}}
{{- end -}}

{{/* Flags of the operator, and then the user's, which may not repeat one. */}}
{{- define "kiln.arguments" -}}
{{- $ours := list
  (printf "--image=%s" (include "kiln.modelImage" .))
  (printf "--lease-name=%s" (include "kiln.operator" .))
  (printf "--leader-elect=%t" .Values.operator.leaderElection)
  (printf "--workers=%d" (int .Values.operator.workers))
  (printf "--resync=%d" (int .Values.operator.resyncSeconds))
  (printf "--port=8080")
  (printf "--log-level=%s" .Values.operator.logLevel)
  (printf "--log-format=%s" .Values.operator.logFormat)
-}}
{{- with .Values.watchNamespaces -}}
{{- $ours = append $ours (printf "--namespaces=%s" (join "," .)) -}}
{{- end -}}
{{- $known := list "--namespaces" -}}
{{- range $ours -}}
{{- $known = append $known (first (splitList "=" .)) -}}
{{- end -}}
{{- range .Values.operator.extraArgs -}}
{{- if has (first (splitList "=" .)) $known -}}
{{- fail (printf "operator.extraArgs: %s is a flag that the chart sets itself; set its value instead" .) -}}
{{- end -}}
{{- end -}}
{{- toYaml (concat (list "run") $ours .Values.operator.extraArgs) -}}
{{- end -}}

{{/* Where `helm test` makes its service: the operator serves that namespace. */}}
{{- define "kiln.testNamespace" -}}
{{- default .Release.Namespace (first .Values.watchNamespaces) -}}
{{- end -}}
