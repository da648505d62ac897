/**
 * Audits every kind of target after 30 instances were removed, 10 cut and 5 altered there behind our back, and sends what is
 * missing: are all of them named, is nothing else named, and how many requests a second does the target see?
 *
 *   ./dispatch bench target-audit [STUDIES] [RATE] [TARGET...]
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { readTargetAudit, sendMissing, startTargetAudit, type AuditedTarget } from '@dicom-dispatch/operations';
import { startAuditedTargets } from '../e2e/support/audited-targets.ts';
import { startRoutingSystem, type UploadedStudy } from '../e2e/support/routing-system.ts';

const [studyCount = '2000', rate = '200', ...names] = process.argv.slice(2);
const count = Number(studyCount);
const actor = { name: 'bench' };

await using system = await startRoutingSystem();
await using audited = await startAuditedTargets({ audit: { rate: Number(rate) }, concurrency: 4 });
const wanted = Object.entries(audited.targets).filter(([name]) => names.length === 0 || names.includes(name));
const targets = Object.fromEntries(wanted);
await using run = await system.start({ targets });
const studies: UploadedStudy[] = [];
for (let number = 0; number < count; number += 1) {
  studies.push(await system.upload({ seed: `audited ${number}`, series: 1, instancesPerSeries: 3 }));
}
await untilDelivered();
console.log(`${count} studies of 3 instances are at ${Object.keys(targets).join(', ')}`);

const step = Math.max(1, Math.floor(count / 45));
const uids = Array.from(
  { length: 45 },
  (_, at) => studies[(at * step) % count]?.sopInstanceUids[Math.floor(at / count) % 3] ?? '',
);
const [removed, cut, altered] = [uids.slice(0, 30), uids.slice(30, 40), uids.slice(40)];
for (const [name, meddler] of Object.entries(audited.meddlers)) {
  if (!targets[name]) continue;
  for (const uid of removed) await meddler.remove(uid);
  for (const uid of cut) await meddler.cut?.(uid);
  for (const uid of altered) await meddler.alter?.(uid);
}
for (const name of Object.keys(targets)) await report(name);

async function report(name: string): Promise<void> {
  const began = performance.now();
  await startTargetAudit(run.operations, name, { sample: 1, content: true }, actor);
  const found = await until(name, ({ audit }) => audit?.state === 'done');
  const seconds = (performance.now() - began) / 1_000;
  const isSized = audited.meddlers[name]?.alter !== undefined;
  const missing = same(found, 'missing', removed);
  const different = same(found, 'different', isSized ? [...cut, ...altered] : []);
  const { requests = 0, unread = 0 } = found.audit?.counts ?? {};
  await sendMissing(run.operations, name, undefined, actor);
  const { audit } = await until(name, (now) => now.audit?.sent !== undefined);
  await untilDelivered();
  await startTargetAudit(run.operations, name, { sample: 1, content: true }, actor);
  const after = await until(name, (now) => now.audit?.state === 'done' && now.audit.id !== found.audit?.id);
  console.log(
    `${name.padEnd(9)} missing ${missing}, different ${different}, not known ${unread}; ${seconds.toFixed(1)} s, ${requests} requests, ${(requests / seconds).toFixed(1)} a second; sent ${audit?.sent?.instances}; then wrong: ${after.findings.length}`,
  );
}

/** `30 of 30`, and whatever else is named. */
function same({ findings }: AuditedTarget, what: 'missing' | 'different', expected: readonly string[]): string {
  const named = findings.flatMap((one) => one[what]);
  const others = named.filter((uid) => !expected.includes(uid)).length;
  const right = expected.filter((uid) => named.includes(uid)).length;
  return `${right} of ${expected.length}${others > 0 ? ` AND ${others} OTHERS` : ''}`;
}

async function until(name: string, is: (now: AuditedTarget) => boolean): Promise<AuditedTarget> {
  for (;;) {
    const now = await readTargetAudit(run.operations, name);
    if (is(now)) return now;
    await sleep(200);
  }
}

async function untilDelivered(): Promise<void> {
  for (;;) {
    const { waiting, active } = await run.operations.records.counts();
    const { delivered } = await run.operations.records.counts();
    if (waiting + active === 0 && delivered >= count * Object.keys(targets).length) return;
    await sleep(500);
  }
}
