import { randomUUID } from 'node:crypto';
import { fingerprint } from '@dicom-dispatch/core';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { OutgoingFailures } from '@dicom-dispatch/state/outgoing';
import type { ConsoleContext } from '../../console-context.ts';
import { Cursors } from './cursors.ts';
import { FileDestination } from './file-destination.ts';
import { SyslogDestination } from './syslog-destination.ts';

const intervalMs = 1_000;
const retryMs = 10_000;
const leaseMs = 15_000;

/** One console at a time forwards the audit log to a file and to an audit record repository, as configured. */
export function startAuditForwarding(context: ConsoleContext): { stop(): Promise<void> } {
  const { redis, log } = context;
  const keys = redisKeys(context.config().redis.prefix);
  const cursors = new Cursors(redis, keys.auditForwarded);
  const file = new FileDestination(context, cursors);
  const syslog = new SyslogDestination(context, cursors);
  const token = randomUUID();
  const worked = new Set<string>();
  const failing = new Map<string, number>();
  const failures = new OutgoingFailures(redis, context.config().redis.prefix);
  let connectedTo = '';
  let isStopped = false;
  let running: Promise<void> = Promise.resolve();
  let timer = setTimeout(runOnce, 0);

  return {
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await running;
      await syslog.close();
    },
  };

  function runOnce(): void {
    running = forward()
      .catch((error: unknown) => log.debug({ err: error }, 'audit log not forwarded'))
      .finally(() => {
        if (!isStopped) timer = setTimeout(runOnce, intervalMs);
      });
  }

  async function forward(): Promise<void> {
    const { audit } = context.config().console;
    const now = fingerprint(audit.syslog ?? null);
    if (now !== connectedTo) {
      await syslog.close();
      connectedTo = now;
      failing.delete('syslog');
    }
    if ((audit.file === undefined && !audit.syslog) || redis.status !== 'ready' || !(await lead())) return;
    const { file: path, syslog: receiver } = audit;
    if (path !== undefined) await attempt('file', { path }, () => file.forward(path));
    if (receiver) {
      const { host, port } = receiver;
      await attempt('syslog', { host, port }, () => syslog.forward(receiver));
    }
  }

  /** Logs when a destination begins to fail and when it works again; the entries stay in Redis meanwhile. */
  async function attempt(name: string, where: object, act: () => Promise<void>): Promise<void> {
    const since = failing.get(name);
    if (since !== undefined && Date.now() < since) return;
    try {
      await act();
      if (since !== undefined) log.info({ destination: name, ...where }, 'audit log is forwarded again');
      // Another console may have noted a failure.
      if (since !== undefined || !worked.has(name)) await failures.succeeded(`audit-${name}`);
      worked.add(name);
      failing.delete(name);
    } catch (error) {
      if (since === undefined) log.error({ destination: name, ...where, err: error }, 'audit log cannot be forwarded');
      failing.set(name, Date.now() + retryMs);
      worked.delete(name);
      await failures.failed(`audit-${name}`, error instanceof Error ? error.message : 'unknown error');
    }
  }

  async function lead(): Promise<boolean> {
    if ((await redis.set(keys.auditLeader, token, 'PX', leaseMs, 'NX')) === 'OK') {
      // Another console may have held the lease since, and noted a failure.
      worked.clear();
      return true;
    }
    if ((await redis.get(keys.auditLeader)) !== token) return false;
    await redis.pexpire(keys.auditLeader, leaseMs);
    return true;
  }
}
