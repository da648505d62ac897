import { setTimeout as sleep } from 'node:timers/promises';
import {
  isAuditIncomplete,
  readTargetAudit,
  sendMissing,
  startTargetAudit,
  stopTargetAudit,
  type AuditedTarget,
} from '@dicom-dispatch/operations';
import { TargetAudits, type AuditCounts, type TargetAudit } from '@dicom-dispatch/state/target-audits';
import { CommandError, exitCodes } from '../exit.ts';
import { confirm } from './confirm.ts';
import { ago, formatTable } from './print-table.ts';
import { untilInterrupted } from './until-interrupted.ts';
import { withSystem, type System } from './with-system.ts';

export interface AuditTargetOptions {
  readonly config: string;
  readonly json?: boolean;
  /** ms since 1970 */
  readonly since?: number;
  readonly study?: string;
  /** From 0 to 1. */
  readonly sample?: number;
  readonly content?: boolean;
  readonly show?: boolean;
  readonly stop?: boolean;
  readonly send?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

const lookEveryMs = 500;
const keepsOwn =
  'A target may keep its own version of a different instance, though it confirms the new one: audit it again afterwards.';

/** Audits a target and waits for the end, or shows, stops or corrects the findings of an audit. */
export async function auditTarget(target: string, options: AuditTargetOptions): Promise<void> {
  const acts = [options.show, options.stop, options.send].filter((one) => one === true).length;
  if (acts > 1) throw new CommandError('--show, --stop and --send exclude each other: use one', exitCodes.usage);
  if (options.dryRun === true && options.send !== true)
    throw new CommandError('--dry-run needs --send', exitCodes.usage);
  await withSystem(options.config, async (system) => {
    if (options.stop === true) return stop(system, target);
    if (options.send === true) return send(system, target, options);
    if (options.show !== true) await start(system, target, options);
    await show(system, target, options);
  });
}

async function start({ operations, actor, audited, ...system }: System, target: string, options: AuditTargetOptions) {
  const { since, study, sample = 1, content = false } = options;
  const before = (await readTargetAudit(operations, target)).audit;
  const scope = { since, study, sample, content };
  await audited({ action: 'audit target', subject: target }, () => startTargetAudit(operations, target, scope, actor));
  await follow(
    { operations, ...system },
    target,
    options,
    (audit) => audit !== undefined && audit.id !== before?.id && audit.state !== 'running',
  );
}

async function stop({ operations, actor, audited }: System, target: string): Promise<void> {
  await audited({ action: 'stop audit', subject: target }, () => stopTargetAudit(operations, target, actor));
  console.log(`the audit of ${target} stops after the current study`);
}

async function send(system: System, target: string, options: AuditTargetOptions): Promise<void> {
  const { operations, actor, audited } = system;
  const { audit, findings } = await readTargetAudit(operations, target);
  const meant = findings.filter(({ studyInstanceUid, missingCount, differentCount }) => {
    return (options.study === undefined || studyInstanceUid === options.study) && missingCount + differentCount > 0;
  });
  const instances = meant.reduce((sum, one) => sum + one.missingCount + one.differentCount, 0);
  if (options.json === true && options.dryRun === true)
    return console.log(JSON.stringify({ instances, findings: meant }));
  if (options.json !== true && meant.length > 0) console.log(table(meant));
  if (options.json !== true && meant.some(({ differentCount }) => differentCount > 0)) console.log(keepsOwn);
  if (options.dryRun === true)
    return console.log(`${instances} instances of ${meant.length} studies would be sent again`);
  if (options.yes !== true && meant.length > 0) {
    await confirm(
      `${instances} instances of ${meant.length} studies are removed from the ledger of ${target} and sent again, if a second check has the same result`,
    );
  }
  await audited({ action: 'send missing', subject: target }, () =>
    sendMissing(operations, target, options.study, actor),
  );
  const sentBefore = audit?.sent?.at;
  const after = await follow(system, target, options, (now) => now?.sent !== undefined && now.sent.at !== sentBefore);
  if (options.json === true) return console.log(JSON.stringify(after.audit?.sent));
  const { sent, reason } = after.audit ?? {};
  console.log(
    `${sent?.instances} instances of ${sent?.studies} studies are sent again: dispatch deliveries --target ${target} --state waiting`,
  );
  if (reason !== undefined) throw new CommandError(reason);
}

/** Waits until `isEnd` applies to the audit of a target; the audit continues when this process ends. */
async function follow(
  { operations, redis, config }: Pick<System, 'operations' | 'redis' | 'config'>,
  target: string,
  options: AuditTargetOptions,
  isEnd: (audit: TargetAudit | undefined) => boolean,
): Promise<AuditedTarget> {
  const audits = new TargetAudits(redis, config().redis.prefix);
  const isShown = process.stderr.isTTY && options.json !== true;
  return untilInterrupted('the audit continues: dispatch audit TARGET --show', async (signal) => {
    for (;;) {
      const audit = await audits.read(target);
      if (isEnd(audit) && !(await audits.asked()).has(target)) break;
      if (isShown && audit)
        process.stderr.write(`\r\u001B[K${progress(audit.counts)}${audit.reason ? ` (${audit.reason})` : ''} …`);
      await sleep(lookEveryMs, undefined, { signal });
    }
    if (isShown) process.stderr.write('\r\u001B[K');
    return readTargetAudit(operations, target);
  });
}

async function show({ operations }: System, target: string, options: AuditTargetOptions): Promise<void> {
  const known = await readTargetAudit(operations, target);
  const { audit, gaps, findings, history } = known;
  if (options.json === true) console.log(JSON.stringify(known));
  else if (!audit) console.log(`${target} was never audited: dispatch audit ${target}`);
  else {
    console.log(
      `audit of ${target}: ${audit.state}, begun ${ago(audit.startedAt)} by ${audit.by}; ${progress(audit.counts)}`,
    );
    if (audit.reason !== undefined)
      console.log(`${audit.state === 'running' ? 'it waits' : 'reason'}: ${audit.reason}`);
    const { compared, instances, unread, requests } = audit.counts;
    const rate = perSecond(audit);
    console.log(
      `contents compared: ${compared} of ${instances}; not known: ${unread}; requests: ${requests}${rate === undefined ? '' : `, ${rate} per second`}`,
    );
    if (findings.length > 0) console.log(table(findings));
    else if (gaps.length === 0) console.log(`no findings: ${target} has everything that it has confirmed`);
    else console.log(`no findings, but instances may still be missing at ${target}:`);
    for (const gap of gaps) console.log(gap);
    if (history.length > 1) console.log(`\n${trend(history)}`);
    if (findings.length > 0) console.log(`\nto resend missing or different instances: dispatch audit ${target} --send`);
  }
  process.exitCode = exitCodeOfAudit(known);
}

/** 3 if there are findings, or the audit was incomplete. */
export function exitCodeOfAudit({ audit, findings }: Pick<AuditedTarget, 'audit' | 'findings'>): number {
  return findings.length > 0 || (audit && isAuditIncomplete(audit)) ? exitCodes.trouble : exitCodes.done;
}

function progress({ studies, instances, missing, different, extra }: AuditCounts): string {
  return `${studies} studies, ${instances} instances: ${missing} missing, ${different} different, ${extra} extra`;
}

/** Average requests per second of an audit, including times of waiting. */
function perSecond({ startedAt, endedAt, counts }: TargetAudit): string | undefined {
  const seconds = ((endedAt ?? startedAt) - startedAt) / 1_000;
  return seconds > 0 ? (counts.requests / seconds).toFixed(1) : undefined;
}

function table(findings: AuditedTarget['findings']): string {
  return formatTable(
    ['study', 'source', 'what', 'instance', 'detail'],
    findings.flatMap((one) => [
      ...rows(one, 'missing', one.missing, one.missingCount),
      ...rows(one, 'different', one.different, one.differentCount),
      ...rows(one, 'extra', one.extra, one.extraCount),
    ]),
  );
}

function rows(
  { studyInstanceUid, source, details = {} }: AuditedTarget['findings'][number],
  what: string,
  names: readonly string[],
  count: number,
): string[][] {
  const detail = (name: string): string => (what === 'different' ? (details[name] ?? '') : '');
  const all = names.map((name) => [studyInstanceUid, source, what, name, detail(name)]);
  return count > names.length
    ? [...all, [studyInstanceUid, source, what, `and ${count - names.length} more`, '']]
    : all;
}

function trend(history: readonly TargetAudit[]): string {
  return formatTable(
    ['audit', 'state', 'studies', 'instances', 'missing', 'different', 'extra'],
    history
      .slice(0, 10)
      .map(({ startedAt, state, counts }) => [
        new Date(startedAt).toISOString().slice(0, 16),
        state,
        counts.studies,
        counts.instances,
        counts.missing,
        counts.different,
        counts.extra,
      ]),
  );
}
