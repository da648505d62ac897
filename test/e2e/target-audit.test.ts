import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '@dicom-dispatch/harness';
import {
  readHealth,
  readTargetAudit,
  sendMissing,
  startTargetAudit,
  type AuditedTarget,
} from '@dicom-dispatch/operations';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAuditedTargets, type AuditedTargets } from './support/audited-targets.ts';
import {
  startRoutingSystem,
  type RoutingSystem,
  type RunningRouting,
  type UploadedStudy,
} from './support/routing-system.ts';

const actor = { name: 'tester' };
const whole = { sample: 1, content: true };

const types = ['folder', 'sftp', 'rsync', 's3', 'orthanc', 'dicom', 'dcmqrscp', 'dicomweb', 'xnat'] as const;
/** Targets that keep their own version of a repeated instance, unless the whole session is resent. */
const keepsOwn = new Set<string>(['xnat']);

let system: RoutingSystem;
let audited: AuditedTargets;
let run: RunningRouting;
const studies: UploadedStudy[] = [];

beforeAll(async () => {
  [system, audited] = await Promise.all([
    startRoutingSystem(),
    startAuditedTargets(types, { audit: { rate: 500 } }, { isCounted: true }),
  ]);
  run = await system.start({ targets: audited.targets });
  for (let number = 0; number < 5; number += 1) {
    studies.push(await system.upload({ seed: `audit ${number}`, series: 1, instancesPerSeries: 3 }));
  }
  for (const target of Object.keys(audited.targets)) {
    for (const study of studies) await run.until(study, target, 'delivered');
  }
});
afterAll(async () => {
  await run?.[Symbol.asyncDispose]();
  await Promise.all([system?.[Symbol.asyncDispose](), audited?.[Symbol.asyncDispose]()]);
});

/** Audits a target and waits until the audit ends. */
async function audit(target: string, scope: Parameters<typeof startTargetAudit>[2] = whole): Promise<AuditedTarget> {
  const before = (await readTargetAudit(run.operations, target)).audit?.id;
  await startTargetAudit(run.operations, target, scope, actor);
  return until(target, ({ audit: now }) => now !== undefined && now.id !== before && now.state !== 'running');
}

function until(target: string, is: (now: AuditedTarget) => boolean): Promise<AuditedTarget> {
  let seen: AuditedTarget | undefined;
  return waitFor(
    async () => {
      seen = await readTargetAudit(run.operations, target);
      return is(seen) ? seen : undefined;
    },
    { message: () => `the audit of ${target}: ${JSON.stringify(seen?.audit)}` },
  );
}

function named({ findings }: AuditedTarget, what: 'missing' | 'different'): string[] {
  return findings.flatMap((one) => one[what]).sort();
}

const uids = (study: number, instance: number): string => studies[study]?.sopInstanceUids[instance] ?? '';

it('names what was removed, cut and altered behind our back at every kind of target, and nothing else, and mends it', async () => {
  const targets = Object.keys(audited.targets);
  const removed = [uids(0, 0), uids(0, 2), uids(1, 1), uids(3, 0), uids(3, 1), uids(3, 2)].sort();
  const [cut, changed] = [[uids(2, 0), uids(4, 1)], [uids(4, 2)]];
  for (const { remove, cut: shorten, alter } of Object.values(audited.meddlers)) {
    await remove(removed);
    await shorten(cut);
    await alter(changed);
  }
  await together(targets, async (target) => {
    const found = await audit(target);
    const different = [...cut, ...changed].sort();
    expect(named(found, 'missing'), target).toEqual(removed);
    expect(named(found, 'different'), target).toEqual(different);
    expect(found.audit?.counts, target).toMatchObject({
      studies: 5,
      instances: 15,
      extra: 0,
      unread: 0,
      uncompared: 0,
    });
    expect(found.audit?.open, target).toMatchObject({ missing: 6, different: different.length, extra: 0 });
    const explained = found.findings.flatMap(({ details = {} }) => Object.keys(details));
    expect(explained.sort(), target).toEqual(different);
    const health = await readHealth(run.operations, []);
    expect(
      health.some(({ kind, subject }) => kind === 'target-lacks' && subject === target),
      target,
    ).toBe(true);
  });
  await together(targets, async (target) => {
    await sendMissing(run.operations, target, undefined, actor);
    const { audit: sent } = await until(target, ({ audit: now }) => now?.sent !== undefined);
    expect({ ...sent?.sent, reason: sent?.reason }, target).toMatchObject({ instances: 9, reason: undefined });
    for (const study of studies) await run.until(study, target, 'delivered');
  });
  await together(targets, async (target) => {
    const after = await audit(target);
    expect(named(after, 'different'), target).toEqual(keepsOwn.has(target) ? [...cut, ...changed].sort() : []);
    expect(after.audit?.counts, target).toMatchObject({ studies: 5, missing: 0, extra: 0, unread: 0, uncompared: 0 });
    for (const detail of after.findings.flatMap(({ details = {} }) => Object.values(details)))
      expect(detail, target).toMatch(/; the target confirmed what was sent 2 times$/);
    expect(after.history.map(({ counts }) => counts.missing).reverse(), target).toEqual([6, 0]);
  });
});

function together(targets: readonly string[], act: (target: string) => Promise<void>): Promise<void[]> {
  return Promise.all(targets.map(act));
}

async function seriesIn(studyInstanceUid: string): Promise<string> {
  return (await readdir(join(audited.folder, studyInstanceUid)))[0] ?? '';
}

it.each(types.filter((type) => ['dicomweb', 'orthanc', 'xnat', 's3', 'azure'].includes(type)))(
  'counts each request to %s for its rate',
  async (type) => {
    audited.loads.get(type)?.reset();
    const found = await audit(type, { sample: 1, content: true });
    const count = audited.loads.get(type)?.count();
    expect(count).toBeGreaterThan(0);
    // At its end an audit of XNAT signs out as well.
    const signsOut = type === 'xnat' ? 1 : 0;
    expect(count).toBeLessThanOrEqual((found.audit?.counts.requests ?? 0) + signsOut);
  },
);

it('by sizes alone detects truncated content and not altered content; names extra objects', async () => {
  const { folder: meddler } = audited.meddlers;
  await meddler?.cut([uids(1, 0)]);
  await meddler?.alter([uids(1, 2)]);
  const { studyInstanceUid } = studies[1] ?? { studyInstanceUid: '' };
  await writeFile(join(audited.folder, studyInstanceUid, await seriesIn(studyInstanceUid), '1.2.840.99.1.dcm'), 'x');
  const found = await audit('folder', { sample: 1, content: false, study: studyInstanceUid });
  expect(named(found, 'different')).toEqual([uids(1, 0)]);
  expect(found.audit?.counts).toMatchObject({ studies: 1, instances: 3, compared: 0 });
  expect(found.findings.map(({ extra }) => extra)).toEqual([['1.2.840.99.1']]);
});

it('continues at its position when its dispatcher ends, within its rate', async () => {
  const slow = Object.fromEntries(
    Object.entries(audited.targets).map(([name, target]) => [name, { ...target, audit: { rate: 4 } }]),
  );
  await run.reload({ targets: slow });
  await startTargetAudit(run.operations, 'sftp', { sample: 1, content: false }, actor);
  const begun = await until('sftp', ({ audit: now }) => now?.state === 'running' && now.counts.studies >= 2);
  await run.restart('dispatcher');
  const { audit: ended } = await until(
    'sftp',
    ({ audit: now }) => now?.id === begun.audit?.id && now?.state !== 'running',
  );
  expect(ended).toMatchObject({ state: 'done', counts: { studies: 5, instances: 15, missing: 0 } });
  const { requests } = ended!.counts;
  const tookMs = (ended?.endedAt ?? 0) - (ended?.startedAt ?? 0);
  // Two connections, each with its first request at once.
  expect(tookMs).toBeGreaterThan(((requests - 2) / 4) * 1_000 * 0.95);
});
