import { randomBytes } from 'node:crypto';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { redisNow } from '@dicom-dispatch/state/redis';
import { z } from 'zod';
import type { Redis } from '../redis/connect-redis.ts';
import { applyCall, callServices, forgetCall, readProcesses, type ServiceAnswers } from '../reload/call-services.ts';
import type { ReloadAnswer } from '../reload/reload-messages.ts';
import { reloadEverywhere } from '../reload/reload-everywhere.ts';
import { configDigest, type CurrentConfig, type VersionStore } from './current-config.ts';

export interface ConfigChange {
  /** The new text. */
  readonly text: string;
  /** Digest of the base text; empty if there is none yet. */
  readonly base: string;
  readonly author: string;
  readonly reason: string;
}

export interface ConfigChangeResult {
  /**
   * - `applied`: every process that responds uses it; without responses, no process runs
   * - `refused`: at least one cannot, or has not responded; nothing has changed
   * - `undone`: all could, one failed to apply it; the former text is restored, and all use it
   * - `unsettled`: it was begun, and could neither be applied nor undone everywhere
   * - `stale`: the configuration is not the base of the change; nothing has changed
   * - `busy`: another change is being applied
   */
  readonly outcome: 'applied' | 'refused' | 'undone' | 'unsettled' | 'stale' | 'busy';
  readonly answers: readonly ReloadAnswer[];
  /** Running processes that have not responded, as text: `dispatcher (host-4711)`. */
  readonly silent: readonly string[];
  /** Number of the new version if it is in use afterwards; undefined if it could not be recorded. */
  readonly version?: number | undefined;
  /** Errors meanwhile, as text. */
  readonly reasons?: readonly string[];
}

interface Where {
  readonly redis: Redis;
  readonly prefix: string;
  readonly current: CurrentConfig;
  readonly versions: VersionStore;
  /** Longest wait for the responses of one step. */
  readonly withinMs?: number;
}

const lockMs = 60_000;
const releaseScript = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

/**
 * Changes the configuration of all services, or of none. Every process checks the new text first, from a candidate
 * beside the text to be replaced; if all can use it, the text is replaced in one step, and the processes apply it. A
 * process that crashes meanwhile reads the configuration when it starts: the former text before that step, the new one
 * after it.
 *
 * @throws the error of the file system if the file or its folder cannot be written
 */
export async function changeConfiguration(where: Where, change: ConfigChange): Promise<ConfigChangeResult> {
  const { redis, prefix } = where;
  const id = randomBytes(8).toString('hex');
  const lock = redisKeys(prefix).configurationLock;
  if ((await redis.set(lock, id, 'PX', lockMs, 'NX')) === null) return { outcome: 'busy', answers: [], silent: [] };
  try {
    return await changeLocked(where, change, id);
  } finally {
    await redis.eval(releaseScript, 1, lock, id).catch(() => {});
  }
}

async function changeLocked(where: Where, change: ConfigChange, id: string): Promise<ConfigChangeResult> {
  const { redis, prefix, current, withinMs = 15_000 } = where;
  const isFirst = change.base === '';
  const before = isFirst ? { text: '', digest: '' } : await current.read();
  if (before.digest !== change.base) return { outcome: 'stale', answers: [], silent: [] };
  if (configDigest(change.text) === before.digest) return { outcome: 'applied', answers: [], silent: [] };
  await current.offer(id, change.text);
  try {
    const running = await runningProcesses(redis, prefix);
    const checked = await callServices(redis, prefix, { id, step: 'check', candidate: true }, withinMs);
    // Without responses it is only valid if no process runs.
    const isShort = checked.missing > 0 || checked.answers.length === 0;
    const silent = isShort ? silentAmong(running, checked) : [];
    if (silent.length > 0 || checked.answers.some(({ outcome }) => outcome === 'refused')) {
      await forgetCall(redis, prefix, id);
      return { outcome: 'refused', answers: checked.answers, silent };
    }
    const former = { ...before, author: 'the file', reason: 'as it was before a change' };
    const kept = isFirst ? { reasons: [] } : await noteVersion(where, former);
    if (!(await current.commit(id, change.base, change))) {
      await forgetCall(redis, prefix, id);
      return { outcome: 'stale', answers: [], silent: [] };
    }
    const done = await applyCommitted(where, change, { id, former: before.text, ready: checked.answers });
    return { ...done, reasons: [...kept.reasons, ...(done.reasons ?? [])] };
  } finally {
    await current.withdraw(id);
  }
}

/** From here on the configuration is changed: errors are reported as results, and no longer thrown. */
async function applyCommitted(
  where: Where,
  change: ConfigChange,
  { id, former, ready }: { readonly id: string; readonly former: string; readonly ready: readonly ReloadAnswer[] },
): Promise<ConfigChangeResult> {
  const { redis, prefix, withinMs = 15_000 } = where;
  // Recorded before it is applied: each process records what it applies, unless it is recorded already.
  const { version, reasons } = await noteVersion(where, change);
  try {
    const running = await runningProcesses(redis, prefix);
    const applied = await applyCall(redis, prefix, id, withinMs);
    const { answers } = applied;
    if (!answers.some(({ outcome }) => outcome === 'refused')) {
      const isShort = applied.missing > 0 || answers.length < ready.length;
      const silent = isShort ? silentAmong(running, applied) : [];
      return { outcome: 'applied', answers, silent, version, reasons };
    }
    const left = await undo(where, former, change.text);
    return { outcome: left.length === 0 ? 'undone' : 'unsettled', answers, silent: [], reasons: left };
  } catch (error) {
    const lost = `${placeOf(where)} is changed, but not all services could be notified (${(error as Error).message})`;
    return { outcome: 'unsettled', answers: [], silent: [], version, reasons: [lost, ...reasons] };
  }
}

async function noteVersion(
  { versions }: Where,
  entry: Parameters<VersionStore['add']>[0],
): Promise<{ readonly version?: number; readonly reasons: readonly string[] }> {
  try {
    return { version: (await versions.add(entry)).number, reasons: [] };
  } catch (error) {
    return { reasons: [`the version could not be noted in ${versions.title} (${(error as Error).message})`] };
  }
}

/**
 * Restores the former text, unless the configuration was changed in the meantime.
 *
 * @returns why not every process uses it again, as text; empty if all do
 */
async function undo(where: Where, former: string, text: string): Promise<string[]> {
  const { redis, prefix, current, withinMs } = where;
  if (former === '') return ['there was no configuration before that could be used'];
  const id = randomBytes(8).toString('hex');
  try {
    await current.offer(id, former);
    const note = { author: 'dicom-dispatch', reason: 'restored: a service could not apply the change' };
    if (!(await current.commit(id, configDigest(text), note)))
      return [
        `the previous configuration was not restored: ${placeOf(where)} was ${editedWords(where)} at the same moment`,
      ];
    await noteVersion(where, { text: former, ...note });
  } catch (error) {
    return [`the previous configuration could not be restored (${(error as Error).message})`];
  } finally {
    await current.withdraw(id);
  }
  const { outcome, answers, missing } = await reloadEverywhere(redis, prefix, withinMs);
  if (outcome === 'applied') return [];
  const open = answers.flatMap(({ services, process, reasons }) =>
    reasons.map((reason) => `${services.join(', ')} (${process}): ${reason}`),
  );
  const silent = missing > 0 || answers.length === 0 ? ['a service has not answered'] : [];
  return [
    `the previous configuration is in ${placeOf(where)} again, and not every service uses it`,
    ...open,
    ...silent,
  ];
}

function placeOf({ current }: Where): string {
  return current.kind === 'file' ? 'the file' : 'Redis';
}

function editedWords({ current }: Where): string {
  return current.kind === 'file' ? 'edited by hand' : 'given another one';
}

const about = z.object({ services: z.array(z.string()), host: z.string(), pid: z.number() });

/** Text for users by the name of each process with a heartbeat in Redis. Read before a call: a suspended one loses its heartbeat. */
async function runningProcesses(redis: Redis, prefix: string): Promise<ReadonlyMap<string, string>> {
  const texts = await readProcesses(redis, prefix, await redisNow(redis, prefix));
  const processes = texts.flatMap((text) => {
    const one = about.safeParse(JSON.parse(text)).data;
    return one ? [one] : [];
  });
  return new Map(
    processes.map(({ services, host, pid }) => [`${host}-${pid}`, `${services.join(', ')} (${host}-${pid})`]),
  );
}

/** Those of the running processes that have not responded, as text. */
function silentAmong(running: ReadonlyMap<string, string>, { answers, missing }: ServiceAnswers): string[] {
  const answered = new Set(answers.map(({ process }) => process));
  const texts = [...running].flatMap(([name, text]) => (answered.has(name) ? [] : [text]));
  return texts.length === 0 && missing > 0 ? ['a process that received the request'] : texts;
}
