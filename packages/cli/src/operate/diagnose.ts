import { writeFile } from 'node:fs/promises';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import {
  listDeliveries,
  listSources,
  listTargets,
  showCache,
  showOverview,
  showWorkers,
} from '@dicom-dispatch/console/views';
import { countErrors } from '@dicom-dispatch/operations';
import { checkRedis } from '@dicom-dispatch/runtime';
import { withSystem } from './with-system.ts';

/**
 * Everything that a support case needs, in one JSON file, without secrets (they print as `[secret]`) and without patient
 * data: counts, states, errors, timelines of what failed last. UIDs of studies are left out too.
 */
export async function diagnose(options: { readonly config: string; readonly output?: string }): Promise<void> {
  await withSystem(options.config, async (system) => {
    const { operations, redis } = system;
    const config = system.config();
    const failed = await listDeliveries(system, { state: 'failed', limit: 20 });
    const bundle = {
      at: new Date().toISOString(),
      process: {
        node: process.version,
        platform: platform(),
        release: release(),
        arch: arch(),
        cpus: cpus().length,
        memoryBytes: totalmem(),
      },
      config: withoutAddresses(config),
      overview: await showOverview(system),
      sources: (await listSources(system)).map((source) => Object.assign(source, { url: '[hidden]' })),
      targets: await listTargets(system),
      errors: Object.fromEntries(
        await Promise.all(
          Object.keys(config.targets).map(async (target) => [target, await countErrors(operations, target)] as const),
        ),
      ),
      workers: (await showWorkers(system)).map(({ active, ...rest }) => Object.assign(rest, { active: active.length })),
      cache: await showCache(system),
      redis: { findings: await checkRedis(redis), info: await infoOf(redis) },
      lastFailed: await Promise.all(
        failed.deliveries.map(async ({ deliveryId, target, attempts, total, confirmed, error, failStage }) => ({
          deliveryId,
          target,
          attempts,
          total,
          confirmed,
          failStage,
          error,
          events: (await operations.records.events(deliveryId)).slice(-20),
        })),
      ),
    };
    const text = `${JSON.stringify(bundle, undefined, 2).replaceAll(/\b[0-2](\.\d+){5,}\b/g, '[uid]')}\n`;
    if (options.output === undefined) process.stdout.write(text);
    else {
      await writeFile(options.output, text, { mode: 0o600 });
      console.error(`written to ${options.output}: look through it before you send it`);
    }
  });
}

const wantedInfo = new Set([
  'redis_version',
  'used_memory',
  'maxmemory',
  'maxmemory_policy',
  'aof_enabled',
  'connected_clients',
  'uptime_in_seconds',
  'rdb_last_bgsave_status',
]);

async function infoOf(redis: { info(): Promise<string> }): Promise<Record<string, string>> {
  const lines = (await redis.info()).split('\r\n').map((line) => line.split(':', 2));
  return Object.fromEntries(
    lines.filter(([key]) => wantedInfo.has(key ?? '')).map(([key, value]) => [key ?? '', value ?? '']),
  );
}

const hidden = /^(username|user|email|to|from|clientId|accessKeyId|headers)$/i;

/** The configuration with user names and the like hidden; secrets hide themselves. */
function withoutAddresses(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, item: unknown) => {
      if (hidden.test(key)) return '[hidden]';
      return typeof item === 'string' ? item.replace(/\/\/[^/@\s]+@/, '//[hidden]@') : item;
    }),
  );
}
