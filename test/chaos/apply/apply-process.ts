/**
 * A process of the chaos of applies (`test/chaos/apply.ts`), which its parent kills: `service` uses the configuration file
 * like router, dispatcher and console; `applier` changes it like the console.
 *
 *   node apply-process.ts service|applier REDIS FILE
 */
import { readFile } from 'node:fs/promises';
import type { TargetSchema } from '@dicom-dispatch/core';
import {
  changeConfiguration,
  configDigest,
  connectRedis,
  createLogger,
  keepConfiguration,
  openFileStore,
} from '@dicom-dispatch/runtime';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';

const [, , role, url = '', path = ''] = process.argv;
const prefix = '{dicom-dispatch}';
const log = createLogger('apply', { level: 'fatal', format: 'json' });
const redis = connectRedis({ url } as never, 'apply', log);
const store = openFileStore(path, {
  targetSchemas: Object.values(targetSchemas) as unknown as TargetSchema[],
  env: {},
});

if (role === 'service') await beService();
else await beApplier();

async function beService(): Promise<void> {
  let current = await store.load();
  const service = { name: 'router', dependencies: async () => [], stop: async () => {}, reload: () => {} };
  keepConfiguration({
    store,
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
      const { outcome } = await changeConfiguration({ redis, prefix, ...store, withinMs: 1_000 }, change);
      process.send?.(outcome);
    })();
  });
  process.send?.('ready');
}
