import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startRedis, startRedisCluster, startSentinel, waitFor } from '@dicom-dispatch/harness';
import { check, startDepartment } from './scene.ts';

export const title = 'Redis moves to another host, to Sentinel, to a Cluster, to Valkey';

/** The address of the new Redis, as in the configuration. */
interface NewPlace extends AsyncDisposable {
  readonly redis: Record<string, unknown>;
}

const places: Readonly<Record<string, () => Promise<NewPlace>>> = {
  'another host': async () => place(await startRedis({ appendonly: true }), ({ url }) => ({ url })),
  Sentinel: async () =>
    place(await startSentinel(), ({ sentinels, name }) => ({
      sentinel: { name, addresses: sentinels.map(addressOf) },
    })),
  'a Cluster': async () =>
    place(await startRedisCluster(), ({ startupNodes }) => ({ cluster: startupNodes.map(addressOf) })),
  Valkey: async () => place(await startRedis({ appendonly: true, program: 'valkey-server' }), ({ url }) => ({ url })),
};

const addressOf = ({ host, port }: { readonly host: string; readonly port: number }): string => `${host}:${port}`;

function place<T extends AsyncDisposable>(server: T, redis: (server: T) => Record<string, unknown>): NewPlace {
  return { redis: redis(server), [Symbol.asyncDispose]: () => Promise.resolve(server[Symbol.asyncDispose]()) };
}

export async function walk(): Promise<string[]> {
  let untried: string[] = [];
  for (const [name, start] of Object.entries(places)) {
    console.log(`  to ${name}`);
    untried = await moveTo(start);
  }
  return untried;
}

async function moveTo(start: () => Promise<NewPlace>): Promise<string[]> {
  await using department = await startDepartment(title);
  await using next = await start();
  const { book, dispatch, backups, redis, pacs } = department;
  const first = await department.upload('1');
  await department.untilAtPacs(first);
  await pacs.kill('SIGKILL');
  const waits = await department.upload('2');
  await waitFor(async () =>
    JSON.stringify((await dispatch.get('/api/deliveries?state=waiting')).body).includes('pacs'),
  );

  const newFile = join(dispatch.folder, 'new.yaml');
  await department.edit((config) => void (config.redis = next.redis), newFile);
  const instead = { 'new.yaml': newFile, 'dispatch.yaml': dispatch.configFile, '/backup': backups.path };
  await book.type('dispatch config check new.yaml', { instead });
  await dispatch.kill('SIGTERM');
  // Studies arrive while no service runs.
  const meanwhile = await department.upload('3');
  await book.type('dispatch backup /backup/move.gz -c dispatch.yaml', { instead });
  await book.type('dispatch restore /backup/move.gz -c new.yaml', { instead });
  await copyFile(newFile, dispatch.configFile);
  await redis.stop();
  await pacs.restart();
  await dispatch.restart();
  await department.untilAtPacs(first, waits, meanwhile);
  await book.type('dispatch recover');
  await waitFor(async () => (await book.type('dispatch status --check', { codes: [0, 3] })).code === 0, {
    intervalMs: 2_000,
  });
  const uids = await pacs.sopInstanceUids();
  check(uids.length === 3, `three instances at the PACS, not ${uids.length}`);
  return book.untried();
}
