import { resolve } from 'node:path';
import { userInfo } from 'node:os';
import { AuditLog } from '@dicom-dispatch/console/audit';
import { SourceLookup, type ViewContext } from '@dicom-dispatch/console/views';
import type { Config } from '@dicom-dispatch/core';
import { openPipeline, type Actor } from '@dicom-dispatch/pipeline';
import { createLogger, findEmbeddedRedis, namesRedis } from '@dicom-dispatch/runtime';
import { checkFormat, FormatError } from '@dicom-dispatch/state/keys';
import { CommandError, exitCodes } from '../exit.ts';
import { connectNow, readConfig } from '../read-config.ts';

export interface System extends ViewContext {
  /** Name of the actor in timelines and in the audit log. */
  readonly actor: Actor;
  readonly audit: AuditLog;
  /**
   * Runs an action that is recorded in the audit log.
   *
   * @param what - action and its object, in the same words as in the console
   * @param act - performs the action; its error, or that of writing the entry, is thrown
   */
  audited<T>(what: { readonly action: string; readonly subject: string }, act: () => Promise<T>): Promise<T>;
}

/**
 * Runs a function with access to the system through its Redis; the console need not run.
 *
 * @throws CommandError if Redis does not respond, or its data are of another format
 * @throws errors of the function
 */
export async function withSystem<T>(file: string, act: (system: System) => Promise<T>): Promise<T> {
  const system = await openSystem(await readConfig(file));
  try {
    await refuseOtherFormat(system);
    return await act(system);
  } finally {
    await system.close();
  }
}

/** @throws CommandError if Redis does not respond */
export async function openSystem(config: Config): Promise<System & { close(): Promise<void> }> {
  const redis = await connectNow(namesRedis(config.redis) ? config.redis : await embeddedUrl(config.redis.dataFolder));
  const operations = openPipeline(config, redis);
  const lookup = new SourceLookup(() => config);
  const audit = new AuditLog(
    redis,
    config.redis.prefix,
    createLogger('cli', { level: 'silent', format: 'json' }),
    () => config.console.audit,
  );
  const actor = { name: `${userInfo().username} (command line)` };
  return {
    config: () => config,
    redis,
    operations,
    lookup,
    actor,
    audit,
    async audited(what, act) {
      const entry = { who: actor.name, role: '', ...what, address: '' };
      try {
        const result = await act();
        await audit.write({ ...entry, outcome: 'done', detail: '' });
        return result;
      } catch (error) {
        const detail = error instanceof Error && 'code' in error ? String(error.code) : '';
        // An error of the function is more important than one of the audit log.
        await audit.write({ ...entry, outcome: 'failed', detail }).catch(() => {});
        throw error;
      }
    },
    async close() {
      await lookup.reset();
      await operations.close();
      redis.disconnect();
    },
  };
}

async function refuseOtherFormat({ redis, config }: System): Promise<void> {
  try {
    await checkFormat(redis, config().redis.prefix);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new CommandError(error.message, exitCodes.failed, { cause: error });
  }
}

/** The embedded Redis that `up` starts if none is configured. */
async function embeddedUrl(dataFolder: string): Promise<string> {
  const url = await findEmbeddedRedis(dataFolder);
  if (url !== undefined) return url;
  throw new CommandError(
    `nothing is running: no redis.url is configured, and no embedded Redis responds in ${resolve(dataFolder)}. Start "dispatch up" first; redis.dataFolder is relative to the current folder`,
    exitCodes.unreachable,
  );
}
