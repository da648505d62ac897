/**
 * - `critical`: studies do not arrive, or may be lost
 * - `warning`: an operator must check it
 * - `info`: intended, or over; `status --check` does not fail for it
 */
export type HealthSeverity = 'critical' | 'warning' | 'info';

/** Properties of every finding of a kind. */
export interface HealthKindRow {
  readonly severity: HealthSeverity;
  /** The problem, for the summary of an alert. */
  readonly title: string;
  /** Remedy for operators. Findings may have a more specific one. */
  readonly remedy: string;
  /** Page of the console with details; `SUBJECT` represents the name of the source or target. */
  readonly path: string;
  /** How long it must last before an alert. */
  readonly alertAfter: string;
}

/**
 * All possible problems of the system: the only list of them. `readHealth` determines the current ones; the front page of
 * the console, `status`, `/readyz`, `dispatch_health_findings`, the alert rules and notifications are made from it.
 */
export const healthTable = {
  'redis-away': {
    severity: 'critical',
    title: 'Redis does not respond',
    remedy: 'Start Redis, and check redis in the configuration. Nothing is lost; work continues when it responds.',
    path: '/cache',
    alertAfter: '1m',
  },
  'redis-lost': {
    severity: 'critical',
    title: 'Redis lost data',
    remedy:
      'A router recovers what it can within seconds; keep one running. docs/operations.md describes how to restore.',
    path: '/sources',
    alertAfter: '0m',
  },
  'redis-refuses-writes': {
    severity: 'critical',
    title: 'Redis rejects writes',
    remedy: 'Check the log of Redis.',
    path: '/cache',
    alertAfter: '1m',
  },
  'redis-not-persisting': {
    severity: 'critical',
    title: 'Redis cannot write its data to its disk',
    remedy: 'Check the log of Redis: is its disk full, or its folder not writable? A restart of Redis would lose data.',
    path: '/cache',
    alertAfter: '1m',
  },
  'redis-evicts': {
    severity: 'critical',
    title: 'Redis may delete data when its memory is full',
    remedy: 'Set maxmemory-policy noeviction, with CONFIG SET and in the configuration of Redis.',
    path: '/cache',
    alertAfter: '0m',
  },
  'redis-memory-low': {
    severity: 'warning',
    title: 'Redis has used 90 % of its memory',
    remedy: 'Raise maxmemory of Redis, or lower cache.maxMemory and records.keep.',
    path: '/cache',
    alertAfter: '5m',
  },
  'no-router': {
    severity: 'critical',
    title: 'No router is running',
    remedy: 'Start one: dispatch router. New studies are found as soon as it runs.',
    path: '/sources',
    alertAfter: '2m',
  },
  'standby-gone': {
    severity: 'warning',
    title: 'A router ended without being stopped, and there are fewer than before',
    remedy:
      'Start it again, on any host. A router that is to stay away is stopped with SIGTERM; one that is lost for good is reported for 7 days.',
    path: '/sources',
    alertAfter: '2m',
  },
  'no-dispatcher': {
    severity: 'critical',
    title: 'No dispatcher is running',
    remedy: 'Start one: dispatch dispatcher. Studies are queued meanwhile.',
    path: '/workers',
    alertAfter: '2m',
  },
  'configuration-refused': {
    severity: 'warning',
    title: 'A service could not apply the newest configuration, and uses the previous one',
    remedy: 'The log of the service has the reasons. Correct the configuration, then: dispatch reload.',
    path: '/workers',
    alertAfter: '5m',
  },
  'configuration-outdated': {
    severity: 'warning',
    title: 'The file of a service has another configuration than the service uses',
    remedy: 'Check the file with dispatch config check, then: dispatch reload.',
    path: '/workers',
    alertAfter: '15m',
  },
  'notes-not-written': {
    severity: 'warning',
    title: 'A router cannot write its notes of the data in Redis to its disk',
    remedy:
      'Free space on the disk of redis.notesFolder, or correct its permissions. Without the notes, an operator must choose where sources start if Redis and all routers are lost together.',
    path: '/workers',
    alertAfter: '5m',
  },
  'certificate-invalid': {
    severity: 'critical',
    title: 'A certificate has expired, or is not valid yet',
    remedy: 'Renew the certificate in its file, then restart the services that use it.',
    path: '/workers',
    alertAfter: '1m',
  },
  'certificate-expires': {
    severity: 'warning',
    title: 'A certificate expires within 14 days',
    remedy: 'Renew the certificate in its file in time, then restart the services that use it.',
    path: '/workers',
    alertAfter: '1h',
  },
  'clock-skew': {
    severity: 'warning',
    title: 'The clock of a host differs from the clock of Redis by more than 30 s',
    remedy: 'Set the clock of the host, e.g. with chrony. Due times use the clock of Redis meanwhile.',
    path: '/workers',
    alertAfter: '5m',
  },
  'clock-jump': {
    severity: 'info',
    title: 'A clock was set by more than 30 s within the last hour',
    remedy: 'Check that NTP runs on the hosts.',
    path: '/workers',
    alertAfter: '0m',
  },
  'source-silent': {
    severity: 'critical',
    title: 'A source does not answer',
    remedy: 'Check that the source Orthanc is running and reachable.',
    path: '/sources',
    alertAfter: '5m',
  },
  'source-refuses': {
    severity: 'critical',
    title: 'A source rejects the configured user',
    remedy: 'Check the user name and password of the source.',
    path: '/sources',
    alertAfter: '2m',
  },
  'source-failing': {
    severity: 'critical',
    title: 'One of the tasks for a source fails',
    remedy: 'Check the log of the router and of the source.',
    path: '/sources',
    alertAfter: '5m',
  },
  'source-not-followed': {
    severity: 'critical',
    title: 'No router follows a source',
    remedy: 'Reload the configuration of the router: dispatch reload, or start another one.',
    path: '/sources',
    alertAfter: '2m',
  },
  'source-off': {
    severity: 'info',
    title: 'A source is disabled',
    remedy: 'Set enabled: true for the source: it continues at its position, and routes what came meanwhile.',
    path: '/sources#SUBJECT',
    alertAfter: '1d',
  },
  'source-same-database': {
    severity: 'critical',
    title: 'Two sources use the same database',
    remedy: 'Remove one of the two from the configuration: each study would be sent twice.',
    path: '/sources',
    alertAfter: '2m',
  },
  'feed-stuck': {
    severity: 'critical',
    title: 'The cursor in the change feed of a source does not move',
    remedy: 'Check the log of the router that leads the source; restart it.',
    path: '/sources',
    alertAfter: '5m',
  },
  'sweep-unfinished': {
    severity: 'warning',
    title: 'A sweep of a source does not finish',
    remedy:
      'Check the log of the router that leads the source: studies that the change feed missed are not found meanwhile.',
    path: '/sources',
    alertAfter: '15m',
  },
  'study-put-off': {
    severity: 'warning',
    title: 'Studies of a source cannot be read',
    remedy:
      'dispatch sources lists them with the reason and the next try. Correct the cause in the source, then: dispatch source try SUBJECT.',
    path: '/sources#SUBJECT',
    alertAfter: '15m',
  },
  'source-clock-skew': {
    severity: 'warning',
    title: 'The clock of a source differs from the clock of Redis by more than 30 s',
    remedy: 'Set the clock of the host of the source. Studies are still found.',
    path: '/sources',
    alertAfter: '5m',
  },
  'source-clock-jump': {
    severity: 'info',
    title: 'The clock of a source was set by more than 30 s within the last hour',
    remedy: 'Check that NTP runs on the host of the source.',
    path: '/sources',
    alertAfter: '0m',
  },
  'target-out-of-reach': {
    severity: 'critical',
    title: 'A target cannot be used',
    remedy: 'Check that the target is running and reachable. Its deliveries wait and consume no attempt.',
    path: '/targets/SUBJECT',
    alertAfter: '10m',
  },
  'target-halted': {
    severity: 'critical',
    title: 'A target is stopped until its configuration is corrected',
    remedy: 'Correct the configuration of the target, then: dispatch reload.',
    path: '/targets/SUBJECT',
    alertAfter: '1m',
  },
  'target-moved': {
    severity: 'critical',
    title: 'A target has another address, and its deliveries wait for a decision',
    remedy: 'Decide: dispatch target same SUBJECT, or dispatch target new SUBJECT.',
    path: '/targets/SUBJECT',
    alertAfter: '1m',
  },
  'target-orphaned': {
    severity: 'warning',
    title: 'Deliveries wait for a target that was removed',
    remedy: 'dispatch target move SUBJECT --to TARGET, or dispatch target drop SUBJECT.',
    path: '/targets/SUBJECT',
    alertAfter: '5m',
  },
  'target-lacks': {
    severity: 'critical',
    title: 'A target lacks instances that it had confirmed',
    remedy: 'Find out who removed or changed them, then send them again: dispatch audit SUBJECT --send.',
    path: '/targets/SUBJECT/audit',
    alertAfter: '1m',
  },
  'audit-waits': {
    severity: 'warning',
    title: 'An audit of a target cannot continue',
    remedy:
      'Correct the cause in the finding. The audit continues automatically; to end it: dispatch audit SUBJECT --stop.',
    path: '/targets/SUBJECT/audit',
    alertAfter: '1h',
  },
  'target-off': {
    severity: 'info',
    title: 'Deliveries wait for a disabled target',
    remedy: 'Set enabled: true for the target, or cancel its deliveries.',
    path: '/targets/SUBJECT',
    alertAfter: '1d',
  },
  'target-paused': {
    severity: 'warning',
    title: 'A target is paused',
    remedy: 'Resume it when the reason is gone: dispatch target resume SUBJECT.',
    path: '/targets/SUBJECT',
    alertAfter: '4h',
  },
  'tasks-paused': {
    severity: 'warning',
    title: 'The queue of study tasks is paused: nothing is done in the sources after success',
    remedy: 'Resume it on the page of the queues.',
    path: '/queues/queue/study',
    alertAfter: '1h',
  },
  'backlog-old': {
    severity: 'warning',
    title: 'Deliveries have waited for more than an hour',
    remedy: 'The page of each delivery shows why it waits.',
    path: '/deliveries?target=SUBJECT&state=waiting',
    alertAfter: '10m',
  },
  'delivery-failed': {
    severity: 'warning',
    title: 'Deliveries failed',
    remedy: 'Check their errors, correct the cause, then: dispatch retry --state failed --target SUBJECT.',
    path: '/deliveries?target=SUBJECT&state=failed',
    alertAfter: '5m',
  },
  'delivery-partial': {
    severity: 'warning',
    title: 'Deliveries arrived partially',
    remedy:
      'Each delivery names the instances in quarantine and why; then: dispatch retry --state partial --target SUBJECT.',
    path: '/deliveries?target=SUBJECT&state=partial',
    alertAfter: '15m',
  },
  'source-gone': {
    severity: 'warning',
    title: 'Studies left their source before they were delivered',
    remedy: 'Send them to the source again if they are still needed: the deliveries then continue automatically.',
    path: '/deliveries?target=SUBJECT&state=source-gone',
    alertAfter: '15m',
  },
  'local-shortage': {
    severity: 'critical',
    title: 'Deliveries wait because the host of a dispatcher is out of files, ports, memory or disk space',
    remedy: 'The error of the deliveries names the resource and its remedy. They continue automatically.',
    path: '/deliveries?target=SUBJECT&state=waiting',
    alertAfter: '5m',
  },
  'delivery-held': {
    severity: 'info',
    title: 'Deliveries are held',
    remedy: 'Release them when they may be sent: dispatch release DELIVERY.',
    path: '/deliveries?state=waiting',
    alertAfter: '1d',
  },
  'after-success': {
    severity: 'warning',
    title: 'A step after success failed in a source',
    remedy:
      'Correct the cause that its error names. The step is repeated automatically, or at once with the button on the page of the study, or with: dispatch after-success STUDY.',
    path: '/sources',
    alertAfter: '15m',
  },
  'study-task-failed': {
    severity: 'warning',
    title: 'Study tasks failed',
    remedy: 'Open the page of the queues, and retry or remove them there.',
    path: '/queues/queue/study?status=failed',
    alertAfter: '15m',
  },
  reconcile: {
    severity: 'warning',
    title: 'Records and jobs do not match, and reconciliation cannot correct it',
    remedy: 'Check the log of the routers and dispatchers; route the study again: dispatch route STUDY.',
    path: '/deliveries?state=waiting',
    alertAfter: '15m',
  },
  'reconcile-late': {
    severity: 'warning',
    title: 'Records and jobs have not been compared for five minutes',
    remedy: 'Check the log of the routers and dispatchers: one of them reconciles once a minute.',
    path: '/workers',
    alertAfter: '5m',
  },
  'notification-failing': {
    severity: 'warning',
    title: 'Notifications cannot be sent',
    remedy: 'Check the receiver in console.notifications, and send a test message from the page of the notifications.',
    path: '/notifications',
    alertAfter: '15m',
  },
  'audit-not-forwarded': {
    severity: 'warning',
    title: 'The audit log cannot be forwarded',
    remedy: 'Check console.audit and the receiver. The entries are kept in Redis and sent when it works again.',
    path: '/audit',
    alertAfter: '15m',
  },
  unread: {
    severity: 'critical',
    title: 'A part of the health could not be read',
    remedy: 'Check the log of Redis and of the console.',
    path: '/cache',
    alertAfter: '5m',
  },
} as const satisfies Readonly<Record<string, HealthKindRow>>;

export type HealthKind = keyof typeof healthTable;

export const healthKinds = Object.keys(healthTable) as readonly HealthKind[];

export const healthSeverities = ['critical', 'warning', 'info'] as const satisfies readonly HealthSeverity[];

/** The table in docs/failure-modes.md. */
export function healthTableMarkdown(): string {
  const rows = Object.entries(healthTable).map(
    ([kind, { severity, title, remedy }]) =>
      `| \`${kind}\` | ${severity} | ${title} | ${remedy.replaceAll('SUBJECT', 'NAME')} |`,
  );
  return ['| Kind | Severity | What | What to do |', '|---|---|---|---|', ...rows].join('\n');
}
