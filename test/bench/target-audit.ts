/**
 * Delivers 2,000 studies to each kind of target, removes 30 instances there, truncates 10 and alters 5, audits, sends missing
 * ones and audits again. Exits with 1 unless exactly those are named, the second audit finds nothing, and the requests to the
 * target were within its rate. With --results an interrupted run continues with the kinds that have not passed.
 *
 *   ./dispatch bench target-audit --help
 */
import { appendFile, readFile } from 'node:fs/promises';
import { readTargetAudit, sendMissing, startTargetAudit, type AuditedTarget } from '@dicom-dispatch/operations';
import { readLongCommand, waitFor } from '@dicom-dispatch/harness';
import { auditedTypes, startAuditedTargets, type AuditedType } from '../e2e/support/audited-targets.ts';
import { startRoutingSystem, type RunningRouting, type UploadedStudy } from '../e2e/support/routing-system.ts';
import { describeMachine } from './report.ts';

const { values, positionals } = readLongCommand({
  usage: './dispatch bench target-audit',
  about:
    'Delivers studies to each kind of target, removes 30 instances there, truncates 10 and alters 5, audits, sends missing ones and audits again.',
  positionals: '[TYPE]...',
  options: {
    studies: { type: 'number', default: 2000, about: 'studies for each target, at least 100' },
    rate: { type: 'number', default: 100, about: 'requests a second to the target' },
    together: { type: 'number', default: 3, about: 'kinds at the same time' },
    results: {
      type: 'string',
      about: 'file of results: an interrupted run continues with the kinds that have not passed',
    },
  },
});
const count = values.studies;
const rate = values.rate;
const together = values.together;
const asked = positionals.length > 0 ? auditedTypes.filter((type) => positionals.includes(type)) : auditedTypes;
const unknown = positionals.filter((name) => !auditedTypes.includes(name as AuditedType));
if (unknown.length > 0 || !(count >= 100) || !(rate >= 1) || !(together >= 1)) {
  console.error(
    `usage: target-audit [${auditedTypes.join('|')}]... [--studies N, at least 100] [--rate N] [--together N] [--results FILE]`,
  );
  process.exit(2);
}
const actor = { name: 'bench' };
const scope = { sample: 1, content: true };
/** dcmqrscp has room for 500. */
const fewStudies = 490;
const waitMs = 3_600_000;
const lanes = 8;

interface Row {
  readonly type: AuditedType;
  readonly studies: number;
  readonly rate: number;
  readonly isGood: boolean;
  readonly text: string;
}

const before = await earlierRows();
const passed = new Set(
  before.filter((row) => row.isGood && row.studies === count && row.rate === rate).map((row) => row.type),
);
const types = asked.filter((type) => !passed.has(type));

await using system = await startRoutingSystem();
const began = performance.now();
const studies = await upload();
console.log(
  `${await describeMachine(['Redis', 'Orthanc', 'DCMTK', 'OpenSSH'])} ${count} studies of one instance (uploaded in ${secondsSince(began)} s), at most ${rate} requests a second, ${together} targets at a time`,
);
console.log(
  '| Target | Studies | Missing | Different | Others | Not compared | Requests | a second (most) | Took | Sent | Then wrong |',
);
console.log('|---|---|---|---|---|---|---|---|---|---|---|');
for (const { text } of before.filter((row) => passed.has(row.type) && row.isGood)) console.log(text);
let isGood = true;
for (let at = 0; at < types.length; at += together) {
  for (const row of await auditTypes(types.slice(at, at + together))) {
    console.log(row.text);
    if (values.results !== undefined) await appendFile(values.results, `${JSON.stringify(row)}\n`);
    isGood &&= row.isGood;
  }
}
console.log(`all in ${secondsSince(began)} s`);
if (!isGood) process.exitCode = 1;

async function earlierRows(): Promise<Row[]> {
  if (values.results === undefined) return [];
  const text = await readFile(values.results, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Row]));
}

async function upload(): Promise<UploadedStudy[]> {
  const all: UploadedStudy[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let number = next++; number < count; number = next++) {
      const attributes = { StudyID: number < fewStudies ? 'FEW' : 'MANY' };
      all[number] = await system.upload({ seed: `audited ${number}`, series: 1, instancesPerSeries: 1, attributes });
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return all;
}

function studiesOf(type: AuditedType): readonly UploadedStudy[] {
  return type === 'dcmqrscp' ? studies.slice(0, fewStudies) : studies;
}

/** Instances that are removed, cut and altered, spread over all studies. */
function victimsOf(type: AuditedType) {
  const some = studiesOf(type);
  const step = some.length / 45;
  // Sequentially, so that none of the three is only among the newest.
  const uids = Array.from({ length: 45 }, (_, at) => some[Math.floor(at * step)]?.sopInstanceUids[0] ?? '');
  const kind = (at: number): number => (at % 9 < 6 ? 0 : at % 9 < 8 ? 1 : 2);
  const [removed = [], cut = [], altered = []] = [0, 1, 2].map((one) => uids.filter((_, at) => kind(at) === one));
  return { removed, cut, altered };
}

/** Audits several types at the same time, step by step. */
async function auditTypes(some: readonly AuditedType[]): Promise<Row[]> {
  await using audited = await startAuditedTargets(some, { audit: { rate }, concurrency: 4 }, { isCounted: true });
  const whole = some.filter((type) => type !== 'dcmqrscp');
  await using run = await system.start({
    targets: audited.targets,
    sources: { main: { url: system.orthanc.url, pollInterval: '100ms', startFrom: 'everything' } },
    rules: [
      ...(whole.length > 0 ? [{ name: 'all', targets: whole }] : []),
      ...(some.includes('dcmqrscp') ? [{ name: 'few', targets: ['dcmqrscp'], when: 'study.StudyID == "FEW"' }] : []),
    ],
  });
  const wanted = some.reduce((sum, type) => sum + studiesOf(type).length, 0);
  await allDelivered(run, wanted);
  for (const type of some) {
    const { removed, cut, altered } = victimsOf(type);
    const meddler = audited.meddlers[type];
    await meddler?.remove(removed);
    await meddler?.cut(cut);
    await meddler?.alter(altered);
  }
  for (const load of audited.loads.values()) load.reset();
  const found = await Promise.all(some.map((type) => audit(run, type)));
  const loads = some.map((type) => audited.loads.get(type)?.most());
  const sent = await Promise.all(
    some.map(async (type) => {
      await sendMissing(run.operations, type, undefined, actor);
      return until(run, type, ({ audit: now }) => now?.sent !== undefined);
    }),
  );
  await allDelivered(run, wanted);
  const after = await Promise.all(some.map((type) => audit(run, type)));
  return some.map((type, at) =>
    rowOf(type, { found: found[at]!, sent: sent[at]!, after: after[at]!, load: loads[at] }),
  );
}

interface Audited {
  readonly found: AuditedTarget;
  readonly sent: AuditedTarget;
  readonly after: AuditedTarget;
  readonly load: number | undefined;
}

function rowOf(type: AuditedType, { found, sent, after, load }: Audited): Row {
  const { removed, cut, altered } = victimsOf(type);
  const missing = compare(found, 'missing', removed);
  const different = compare(found, 'different', [...cut, ...altered]);
  const { requests = 0, extra = 0, unread = 0, uncompared = 0 } = found.audit?.counts ?? {};
  const seconds = ((found.audit?.endedAt ?? 0) - (found.audit?.startedAt ?? 0)) / 1_000;
  const others = missing.others + different.others + extra + unread;
  const most = load ?? requests / seconds;
  const shown = `${most.toFixed(load === undefined ? 1 : 0)}${load === undefined ? ' (mean)' : ''}`;
  const cells = [
    type,
    studiesOf(type).length,
    missing.text,
    different.text,
    others,
    uncompared,
    requests,
    shown,
    `${seconds.toFixed(0)} s`,
    sent.audit?.sent?.instances,
    after.findings.length,
  ];
  const isWhole = missing.isWhole && different.isWhole && others + uncompared + after.findings.length === 0;
  // 10 % more, because a request that was delayed is followed immediately by the next.
  return { type, studies: count, rate, isGood: isWhole && most <= rate * 1.1, text: `| ${cells.join(' | ')} |` };
}

/** Audits from start to end. */
async function audit(run: RunningRouting, type: AuditedType): Promise<AuditedTarget> {
  const former = (await readTargetAudit(run.operations, type)).audit?.id;
  await startTargetAudit(run.operations, type, scope, actor);
  return until(run, type, ({ audit: now }) => now?.state === 'done' && now.id !== former);
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

async function allDelivered({ operations }: RunningRouting, wanted: number): Promise<void> {
  const ended = await waitFor(
    async () => {
      const { waiting, active, ...counts } = await operations.records.counts();
      const count = Object.values(counts).reduce((sum, some) => sum + some, 0);
      return waiting + active === 0 && count >= wanted && counts;
    },
    { timeoutMs: waitMs, message: () => `the end of ${wanted} deliveries` },
  );
  if (ended.delivered < wanted) throw new Error(`${ended.delivered} of ${wanted} deliveries have arrived`);
}

function secondsSince(at: number): string {
  return ((performance.now() - at) / 1_000).toFixed(0);
}
