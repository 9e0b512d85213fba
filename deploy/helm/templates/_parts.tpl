{{- define "image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end }}

{{- define "labels" -}}
app.kubernetes.io/name: elt-env
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "volumes" -}}
- name: instance
  configMap:
    name: {{ .Release.Name }}-instance
- name: elt
  {{- if .Values.cache.claim }}
  persistentVolumeClaim:
    claimName: {{ .Values.cache.claim }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ .Values.cache.size }}
  {{- end }}
{{- end }}

{{- define "pull" -}}
{{- range .Values.pullSecrets }}
- name: {{ . }}
{{- end }}
{{- end }}

{{/* A Deployment of one pod: name, command, and the port that it listens on. */}}
{{- define "deployment" -}}
{{- $root := .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $root.Release.Name }}-{{ .name }}
  labels:
    {{- include "labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
spec:
  replicas: 1
  strategy:
    type: Recreate
  selector:
    matchLabels:
      app.kubernetes.io/instance: {{ $root.Release.Name }}
      app.kubernetes.io/component: {{ .name }}
  template:
    metadata:
      labels:
        {{- include "labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .name }}
      annotations:
        checksum/instance: {{ include (print $root.Template.BasePath "/instance.yaml") $root | sha256sum }}
    spec:
      serviceAccountName: {{ $root.Release.Name }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        fsGroup: 1000
      {{- with $root.Values.pullSecrets }}
      imagePullSecrets:
        {{- include "pull" $root | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: {{ .command | toJson }}
          envFrom:
            - secretRef:
                name: {{ $root.Values.secret }}
            - configMapRef:
                name: {{ $root.Release.Name }}-settings
          {{- with .port }}
          ports:
            - containerPort: {{ . }}
          readinessProbe:
            tcpSocket:
              port: {{ . }}
            periodSeconds: 10
          {{- end }}
          resources:
            {{- toYaml $root.Values.services | nindent 12 }}
          volumeMounts:
            - name: instance
              mountPath: /var/lib/dagster/dagster.yaml
              subPath: dagster.yaml
            - name: instance
              mountPath: /srv/workspace.yaml
              subPath: workspace.yaml
            - name: elt
              mountPath: /var/lib/elt
      volumes:
        {{- include "volumes" $root | nindent 8 }}
{{- end }}

{{- define "service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .root.Release.Name }}-{{ .name }}
  labels:
    {{- include "labels" .root | nindent 4 }}
spec:
  selector:
    app.kubernetes.io/instance: {{ .root.Release.Name }}
    app.kubernetes.io/component: {{ .name }}
  ports:
    - port: {{ .port }}
      targetPort: {{ .port }}
{{- end }}
