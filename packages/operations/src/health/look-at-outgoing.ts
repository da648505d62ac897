import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { OutgoingFailures } from '@dicom-dispatch/state/outgoing';
import { finding, type HealthFinding } from './finding.ts';

/** Receivers of notifications and of the audit log that are configured and cannot be reached. */
export async function lookAtOutgoing({ redis, config }: PipelineContext): Promise<HealthFinding[]> {
  const { notifications, audit } = config().console;
  const configured = new Set([
    ...Object.keys(notifications?.webhooks ?? {}).map((name) => `webhook:${name}`),
    ...Object.keys(notifications?.emails ?? {}).map((name) => `email:${name}`),
    ...(audit.file === undefined ? [] : ['audit-file']),
    ...(audit.syslog === undefined ? [] : ['audit-syslog']),
  ]);
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
