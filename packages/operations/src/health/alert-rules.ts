import { healthKinds, healthTable } from './health-kinds.ts';

/** `target-out-of-reach` becomes `DispatchTargetOutOfReach`. */
function alertName(kind: string): string {
  const words = kind.split('-').map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`);
  return `Dispatch${words.join('')}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The alert rules: one for each kind of finding, and those that findings cannot cover. */
export function alertRulesYaml(): string {
  const rules = healthKinds.map((kind) => {
    const { severity, title, remedy, path, alertAfter } = healthTable[kind];
    const subject = '{{ with $labels.subject }} ({{ . }}){{ end }}';
    const name = '{{ $labels.subject }}';
    return `      - alert: ${alertName(kind)}
        expr: max by (subject) (dispatch_health_findings{kind="${kind}"}) > 0
        for: ${alertAfter}
        labels: { severity: ${severity}, kind: ${kind} }
        annotations:
          summary: ${quoted(`${title}${subject}`)}
          description: ${quoted(`${remedy.replaceAll('SUBJECT', name)} In the console: ${path.replaceAll('SUBJECT', name)}`)}
`;
  });

  return `# Alert rules for Prometheus (rule_files) or Grafana. The times are a start: set them to what your department bears.
# One rule for each kind of finding; made from packages/operations/src/health/health-kinds.ts:
# ./dispatch test packages/operations/src/health -u
groups:
  - name: dicom-dispatch
    rules:
${rules.join('')}  - name: dicom-dispatch-metrics
    rules:
      - alert: DispatchFeedLag
        expr: max by (source) (dispatch_feed_lag_changes) > 1000
        for: 15m
        labels: { severity: warning }
        annotations:
          summary: 'The router is {{ $value }} changes behind {{ $labels.source }}'
          description: 'Studies are routed late.'
      - alert: DispatchConsoleDown
        expr: absent(dispatch_health_findings)
        for: 5m
        labels: { severity: critical }
        annotations:
          summary: 'The console reports no metrics'
          description: 'It is down. Nothing else is reported while it is.'
`;
}
