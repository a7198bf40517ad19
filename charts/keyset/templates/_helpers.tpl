{{/* Names. */}}
{{- define "keyset.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "keyset.controller" -}}{{ include "keyset.fullname" . }}-controller{{- end -}}
{{- define "keyset.server" -}}{{ include "keyset.fullname" . }}-server{{- end -}}

{{/* Names of what is of the whole cluster have the namespace in them, so that two releases stand side by side. */}}
{{- define "keyset.clusterName" -}}{{ .Release.Namespace }}-{{ include "keyset.fullname" . }}{{- end -}}

{{- define "keyset.controllerAccount" -}}
{{- if .Values.controller.serviceAccount.create -}}
{{- default (include "keyset.controller" .) .Values.controller.serviceAccount.name -}}
{{- else -}}
{{- required "controller.serviceAccount.name: name the ServiceAccount that is there, or set create" .Values.controller.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "keyset.serverAccount" -}}
{{- if .Values.server.serviceAccount.create -}}
{{- default (include "keyset.server" .) .Values.server.serviceAccount.name -}}
{{- else -}}
{{- required "server.serviceAccount.name: name the ServiceAccount that is there, or set create" .Values.server.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Labels. The selector of a Deployment can never change, so it has only what never changes. */}}
{{- define "keyset.labels" -}}
app.kubernetes.io/name: keyset
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "keyset.selector" -}}
app.kubernetes.io/name: keyset
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "keyset.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "keyset.tlsSecret" -}}
{{- $tls := .Values.server.tls -}}
{{- if $tls.certificate.create -}}
{{- default (printf "%s-tls" (include "keyset.server" .)) $tls.secretName -}}
{{- else -}}
{{- required "server.tls.secretName: name the Secret with the certificate, or set server.tls.certificate.create" $tls.secretName -}}
{{- end -}}
{{- end -}}

{{- define "keyset.servicePort" -}}
{{- default (ternary 443 80 .Values.server.tls.enabled) .Values.server.service.port -}}
{{- end -}}

{{/* What both kinds of Pods have in common: restricted Pod Security, and no user id, as some platforms assign one. */}}
{{- define "keyset.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "keyset.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "keyset.placement" -}}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
{{- if .values.topologySpreadConstraints }}
{{- toYaml .values.topologySpreadConstraints | nindent 2 }}
{{- else }}
{{- range .keys }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "keyset.selector" $ | nindent 8 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Arguments of both processes. */}}
{{- define "keyset.commonArgs" -}}
- --log-level={{ .Values.logging.level }}
- --log-format={{ .Values.logging.format }}
{{- range .Values.watchNamespaces }}
- --watch-namespace={{ . }}
{{- end }}
{{- range $host, $namespaces := .Values.issuerHosts }}
- {{ printf "--allow-issuer-host=%s=%s" $host (join "," $namespaces) | quote }}
{{- end }}
{{- end -}}

{{/* Whether the cluster has a kind. Where none is asked (helm template) nothing is known, and what was wanted is rendered. */}}
{{- define "keyset.offers" -}}
{{- $known := .root.Capabilities.APIVersions -}}
{{- if or (not ($known.Has "v1/Pod")) ($known.Has .kind) -}}true{{- end -}}
{{- end -}}
