/**
 * A process of the chaos of applies (`test/chaos/apply.ts`), which its parent kills: `service` goes by the configuration file as
 * router, dispatcher and console do; `applier` changes it as the console does.
 *
 *   node apply-process.ts service|applier REDIS FILE
 */
import { readFile } from 'node:fs/promises';
import type { TargetSchema } from '@dicom-dispatch/core';
import {
  changeConfiguration,
  configDigest,
  ConfigFile,
  ConfigVersions,
  connectRedis,
  createLogger,
  keepConfiguration,
  loadConfig,
} from '@dicom-dispatch/runtime';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';

const [, , role, url = '', path = ''] = process.argv;
const prefix = '{dicom-dispatch}';
const log = createLogger('apply', { level: 'fatal', format: 'json' });
const redis = connectRedis({ url } as never, 'apply', log);
const [file, versions] = [new ConfigFile(path), new ConfigVersions(path)];

if (role === 'service') await beService();
else await beApplier();

async function beService(): Promise<void> {
  const options = { targetSchemas: Object.values(targetSchemas) as unknown as TargetSchema[], env: {} };
  const read = (candidate?: string) => loadConfig(path, { ...options, candidate });
  let current = await read();
  const service = { name: 'router', dependencies: async () => [], stop: async () => {}, reload: () => {} };
  keepConfiguration({
    file: path,
    read,
    versions,
    config: current,
    services: () => [service],
    applied: (next) => void (current = next),
    redis,
    log,
    givenUpMs: 500,
  });
  process.on('message', () => process.send?.(current.targets['a']?.description ?? ''));
  process.send?.('ready');
}

/** Applies one text after another; each is announced before it begins. */
async function beApplier(): Promise<void> {
  process.on('message', (text: string) => {
    void (async () => {
      process.send?.('begun');
      const base = configDigest(await readFile(path, 'utf8'));
      const change = { text, base, author: 'chaos', reason: 'chaos' };
      const { outcome } = await changeConfiguration({ redis, prefix, file, versions, withinMs: 1_000 }, change);
      process.send?.(outcome);
    })();
  });
  process.send?.('ready');
}
