import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { dueWords, skewLimitMs, skewWords, type AboutProcess } from '@dicom-dispatch/runtime';
import { formatDuration } from '@dicom-dispatch/core';
import { listWorkers } from '../list-workers.ts';
import { count, finding, type HealthFinding } from './finding.ts';

/** A process without a heartbeat for this time counts as gone. */
const goneAfterMs = 20_000;

/** Running services, their configuration, and the clocks and certificates of their hosts. */
export async function lookAtServices(context: PipelineContext, now: number): Promise<HealthFinding[]> {
  const processes = await readProcesses(context, now);
  const workers = await listWorkers(context);
  const findings: HealthFinding[] = [];
  const remedy = processes.length === 0 && (await isForbiddenToWrite(context)) ? forbidden : undefined;
  if (!processes.some(({ services }) => services.includes('router'))) {
    findings.push(finding('no-router', { words: 'no router is running: new studies are not seen', remedy }));
  } else {
    findings.push(...(await lookAtStandby(context, now)));
  }
  if (workers.length === 0) {
    findings.push(finding('no-dispatcher', { words: 'no dispatcher is running: nothing is sent', remedy }));
  }
  for (const process of processes) {
    const { services, host, pid, skewMs, jumps, configurationRefusedAt: since } = process;
    const { configurationDiffersAt: differsAt, notesUnwritableAt: unwritableAt } = process;
    const subject = `${host}:${pid}`;
    if (since === undefined && differsAt !== undefined) {
      const words = `${services.join(', ')} on ${host} (process ${pid}) does not use the configuration of its file: it was edited and not loaded, or cannot be used`;
      findings.push(finding('configuration-outdated', { subject, since: differsAt, words }));
    }
    if (unwritableAt !== undefined) {
      const words = `the router on ${host} (process ${pid}) cannot write its notes of the data in Redis to its disk`;
      findings.push(finding('notes-not-written', { subject, since: unwritableAt, words }));
    }
    if (since !== undefined) {
      const words = `${services.join(', ')} on ${host} (process ${pid}) could not apply the newest configuration`;
      findings.push(finding('configuration-refused', { subject, since, words }));
    }
    if (Math.abs(skewMs) > skewLimitMs) {
      const words = `the clock of ${host} (process ${pid}) is ${skewWords(skewMs)}`;
      findings.push(finding('clock-skew', { subject, words }));
    }
    const jump = jumps.at(-1);
    if (jump) findings.push(finding('clock-jump', { subject, since: jump.at, words: jumpWords(jump, host, pid) }));
  }
  return [...findings, ...lookAtCertificates(processes, now)];
}

const forbidden =
  'Start one. If it is running, its user of Redis may not write (NOPERM), and its heartbeat is then missing: see the ACL in docs/redis.md.';

/** Whether the user of Redis may not write: services with the same user then have no heartbeat. */
async function isForbiddenToWrite({ redis, keys }: PipelineContext): Promise<boolean> {
  // XX: never adds a member.
  return redis.zadd(keys.processes, 'XX', 0, 'nobody').then(
    () => false,
    (error: Error) => error.message.startsWith('NOPERM'),
  );
}

/** Certificates that are invalid or expire soon, each option once: services of several hosts use the same ones. */
function lookAtCertificates(processes: readonly AboutProcess[], now: number): HealthFinding[] {
  const found = new Map<string, HealthFinding>();
  for (const { host, certificates = [] } of processes) {
    for (const { option, from, until } of certificates) {
      const why = dueWords({ from, until }, now);
      if (why === undefined || found.has(option)) continue;
      const words = `the certificate of ${option} on ${host} ${why}`;
      if (now < from) {
        const remedy = 'Check the clock of the host, or use a certificate that is valid now and restart the services.';
        found.set(option, finding('certificate-invalid', { subject: option, words, remedy }));
      } else if (now >= until) {
        found.set(option, finding('certificate-invalid', { subject: option, words, since: until }));
      } else {
        found.set(option, finding('certificate-expires', { subject: option, words }));
      }
    }
  }
  return [...found.values()];
}

/** Whether as many routers run as there should be. */
async function lookAtStandby({ redis, keys }: PipelineContext, now: number): Promise<HealthFinding[]> {
  const running = await redis.zcount(keys.routers, now - goneAfterMs, '+inf');
  const { routers = 0, since } = await redis.hgetall(keys.expectedRouters);
  if (running === 0 || running >= Number(routers)) return [];
  const takesOver = running === 1 ? '; nobody takes over when it ends' : '';
  const words = `${count(running, 'router runs', 'routers run')}, ${routers} did: one ended without being stopped${takesOver}`;
  return [finding('standby-gone', { words, since: since === undefined ? undefined : Number(since) })];
}

/** All running processes; those of an earlier version report less. */
export async function readProcesses({ redis, keys }: PipelineContext, now: number): Promise<AboutProcess[]> {
  const ids = await redis.zrangebyscore(keys.processes, now - goneAfterMs, '+inf');
  const texts = ids.length > 0 ? await redis.mget(ids.map((id) => keys.process(id))) : [];
  return texts.flatMap((text): AboutProcess[] => {
    if (text === null) return [];
    const about = JSON.parse(text) as Partial<AboutProcess>;
    const { services = [], host = '', pid = 0, startedAt = now, skewMs = 0, jumps = [], format = 0 } = about;
    return [{ ...about, services, host, pid, startedAt, skewMs, jumps, format }];
  });
}

function jumpWords({ clock, ms }: AboutProcess['jumps'][number], host: string, pid: number): string {
  const whose = clock === 'redis' ? 'of Redis' : `of ${host}`;
  const how = `${formatDuration(Math.abs(ms))} ${ms > 0 ? 'ahead' : 'back'}`;
  return `the clock ${whose} jumped ${how}, or the machine was suspended, as process ${pid} noticed`;
}
