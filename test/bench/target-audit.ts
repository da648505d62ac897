/**
 * Puts 2,000 studies at each kind of target, removes 30 instances, cuts 10 and alters 5 there behind our back, audits, sends what is
 * missing and audits again. Exits with 1 unless exactly those are named, the second audit finds nothing, and the target was never asked
 * faster than it allows.
 *
 *   ./dispatch bench target-audit [TYPE...] [--studies 2000] [--rate 100]
 */
import { parseArgs } from 'node:util';
import { readTargetAudit, sendMissing, startTargetAudit, type AuditedTarget } from '@dicom-dispatch/operations';
import { waitFor } from '@dicom-dispatch/harness';
import { auditedTypes, startAuditedTargets, type AuditedType } from '../e2e/support/audited-targets.ts';
import { startRoutingSystem, type RunningRouting, type UploadedStudy } from '../e2e/support/routing-system.ts';
import { describeMachine } from './report.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { studies: { type: 'string', default: '2000' }, rate: { type: 'string', default: '100' } },
});
const count = Number(values.studies);
const rate = Number(values.rate);
const types = positionals.length > 0 ? auditedTypes.filter((type) => positionals.includes(type)) : auditedTypes;
const unknown = positionals.filter((name) => !auditedTypes.includes(name as AuditedType));
if (unknown.length > 0 || !(count >= 100) || !(rate >= 1)) {
  console.error(`usage: target-audit [${auditedTypes.join('|')}]... [--studies N, at least 100] [--rate N]`);
  process.exit(2);
}
const actor = { name: 'bench' };
const scope = { sample: 1, content: true };
/** dcmqrscp has room for 500. */
const fewStudies = 490;
const waitMs = 3_600_000;

await using system = await startRoutingSystem();
const studies: UploadedStudy[] = [];
for (let number = 0; number < count; number += 1) {
  const attributes = { StudyID: number < fewStudies ? 'FEW' : 'MANY' };
  studies.push(await system.upload({ seed: `audited ${number}`, series: 1, instancesPerSeries: 1, attributes }));
}
console.log(
  `${await describeMachine(['Redis', 'Orthanc', 'DCMTK', 'OpenSSH'])} ${count} studies of one instance, at most ${rate} requests a second`,
);
console.log(
  '| Target | Studies | Missing | Different | Others | Requests | a second (most) | Took | Sent | Then wrong |',
);
console.log('|---|---|---|---|---|---|---|---|---|---|');
let isGood = true;
for (const type of types) if (!(await auditType(type))) isGood = false;
if (!isGood) process.exitCode = 1;

async function auditType(type: AuditedType): Promise<boolean> {
  const isFew = type === 'dcmqrscp';
  const some = isFew ? studies.slice(0, fewStudies) : studies;
  await using audited = await startAuditedTargets([type], { audit: { rate }, concurrency: 4 }, { isCounted: true });
  await using run = await system.start({
    targets: audited.targets,
    sources: { main: { url: system.orthanc.url, pollInterval: '100ms', startFrom: 'everything' } },
    rules: [{ name: 'all', targets: [type], ...(isFew && { when: 'study.StudyID == "FEW"' }) }],
  });
  await allDelivered(run, some.length);

  const step = some.length / 45;
  const uids = Array.from({ length: 45 }, (_, at) => some[Math.floor(at * step)]?.sopInstanceUids[0] ?? '');
  const [removed, cut, altered] = [uids.slice(0, 30), uids.slice(30, 40), uids.slice(40)];
  const meddler = audited.meddlers[type];
  await meddler?.remove(removed);
  await meddler?.cut?.(cut);
  await meddler?.alter?.(altered);

  audited.load.reset();
  const found = await audit(run, type);
  const load = audited.load.most();
  const changed = [...(meddler?.cut ? cut : []), ...(meddler?.alter ? altered : [])];
  const missing = compare(found, 'missing', removed);
  const different = compare(found, 'different', changed);
  const { requests = 0, extra = 0, unread = 0 } = found.audit?.counts ?? {};
  const seconds = ((found.audit?.endedAt ?? 0) - (found.audit?.startedAt ?? 0)) / 1_000;
  await sendMissing(run.operations, type, undefined, actor);
  const sent = await until(run, type, ({ audit: now }) => now?.sent !== undefined);
  await allDelivered(run, some.length);
  const after = await audit(run, type);

  const others = missing.others + different.others + extra + unread;
  const most = load ?? requests / seconds;
  // One that was let through late comes right before the next.
  const isWithin = most <= rate * 1.1;
  const shown = `${most.toFixed(load === undefined ? 1 : 0)}${load === undefined ? ' (mean)' : ''}`;
  console.log(
    `| ${[type, some.length, missing.text, meddler?.cut ? different.text : 'not asked', others, requests, shown, `${seconds.toFixed(0)} s`, sent.audit?.sent?.instances, after.findings.length].join(' | ')} |`,
  );
  return missing.isWhole && different.isWhole && others === 0 && after.findings.length === 0 && isWithin;
}

/** Audits from start to end. */
async function audit(run: RunningRouting, type: AuditedType): Promise<AuditedTarget> {
  const before = (await readTargetAudit(run.operations, type)).audit?.id;
  await startTargetAudit(run.operations, type, scope, actor);
  return until(run, type, ({ audit: now }) => now?.state === 'done' && now.id !== before);
}

function until(run: RunningRouting, type: string, is: (now: AuditedTarget) => boolean): Promise<AuditedTarget> {
  return waitFor(
    async () => {
      const now = await readTargetAudit(run.operations, type);
      return is(now) ? now : undefined;
    },
    { timeoutMs: waitMs, message: () => `the audit of ${type}` },
  );
}

function compare({ findings }: AuditedTarget, what: 'missing' | 'different', expected: readonly string[]) {
  const named = new Set(findings.flatMap((one) => one[what]));
  const right = expected.filter((uid) => named.has(uid)).length;
  return {
    text: `${right} of ${expected.length}`,
    isWhole: right === expected.length,
    others: named.size - right,
  };
}

function allDelivered({ operations }: RunningRouting, wanted: number): Promise<boolean> {
  return waitFor(
    async () => {
      const { waiting, active, delivered } = await operations.records.counts();
      return waiting + active === 0 && delivered >= wanted;
    },
    { timeoutMs: waitMs, message: () => `${wanted} deliveries` },
  );
}
