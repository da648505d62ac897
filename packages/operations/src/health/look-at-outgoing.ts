import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { OutgoingFailures } from '@dicom-dispatch/state/outgoing';
import { finding, type HealthFinding } from './finding.ts';
import { readProcesses } from './look-at-services.ts';

const remedy = 'Start one: dispatch console.';

/** Receivers of notifications and of the audit log that are configured, and cannot be reached or get nothing. */
export async function lookAtOutgoing(context: PipelineContext, now: number): Promise<HealthFinding[]> {
  const { redis, config } = context;
  const { notifications, audit } = config().console;
  const configured = new Set([
    ...Object.keys(notifications?.webhooks ?? {}).map((name) => `webhook:${name}`),
    ...Object.keys(notifications?.emails ?? {}).map((name) => `email:${name}`),
    ...(audit.file === undefined ? [] : ['audit-file']),
    ...(audit.syslog === undefined ? [] : ['audit-syslog']),
  ]);
  const processes = await readProcesses(context, now);
  if (processes.length > 0 && !processes.some(({ services }) => services.includes('console'))) {
    const kinds = new Set([...configured].map((name) => (name.startsWith('audit-') ? 'audit' : 'notifications')));
    return [...kinds].map((what) =>
      what === 'audit'
        ? finding('audit-not-forwarded', { words: 'no console runs: the audit log is not forwarded', remedy })
        : finding('notification-failing', { words: 'no console runs: notifications are not sent', remedy }),
    );
  }
  const failures = await new OutgoingFailures(redis, config().redis.prefix).all();
  return [...failures].flatMap(([name, { since, message }]) => {
    if (!configured.has(name)) return [];
    if (!name.startsWith('audit-')) {
      const words = `notifications cannot be sent to ${name}: ${message}`;
      return [finding('notification-failing', { subject: name, since, words })];
    }
    const to = name.slice('audit-'.length);
    const words = `the audit log cannot be forwarded (${to}): ${message}`;
    return [finding('audit-not-forwarded', { subject: to, since, words })];
  });
}
