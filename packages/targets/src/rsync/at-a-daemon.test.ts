import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Secret } from '@dicom-dispatch/core';
import {
  freePort,
  startFaultProxy,
  startRsyncd,
  tempDisk,
  tempFolder,
  type FaultProxy,
  type RsyncServer,
  type TempFolder,
} from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe } from 'vitest';
import { filesUnder, handlerContract, pathContract, type ArrangedFault } from '../contract-suite/index.ts';
import { rsyncHandler } from './handler.ts';
import { type RsyncTarget } from './schema.ts';
import { commonChecks, hostile, isRoot, look, onlyRoot, pathFaults } from './testing/arrange.ts';

let spool: TempFolder;
beforeAll(async () => {
  spool = await tempFolder('rsync-spool');
});
afterAll(async () => spool.remove());

const common = () => ({ type: 'rsync', host: '127.0.0.1', spool: spool.path, batchBytes: '100MB' });

describe('at a daemon', () => {
  let rsyncd: RsyncServer;
  let proxy: FaultProxy;
  const via = (more: object = {}) => ({
    type: 'daemon',
    port: proxy.port,
    module: 'data',
    username: 'ada',
    password: new Secret('a-password'),
    ...more,
  });
  beforeAll(async () => {
    rsyncd = await startRsyncd({ users: { ada: 'a-password' } });
    proxy = await startFaultProxy({ port: rsyncd.port });
  });
  afterAll(async () => {
    await proxy?.stop();
    await rsyncd?.stop();
  });
  const wrongPassword = { arrange: () => ({ config: { via: via({ password: new Secret('wrong-password') }) } }) };
  const refused = { arrange: async () => ({ config: { via: via({ port: await freePort() }) } }) };
  const other = async (options: Parameters<typeof startRsyncd>[0]): Promise<ArrangedFault> => {
    const server = await startRsyncd(options);
    return { config: { via: { type: 'daemon', port: server.port, module: 'data' } }, undo: () => server.stop() };
  };

  handlerContract<RsyncTarget>({
    name: 'rsync at a daemon',
    handler: rsyncHandler,
    async start() {
      const config = { ...common(), via: via() };
      return { ...look(rsyncd.filesFolder, spool), config, stop: async () => {} };
    },
    faults: {
      'wrong credentials': { ...wrongPassword, code: 'target-unauthorized', stage: 'connect' },
      'wrong host key': { notApplicable: 'a daemon has no host key' },
      full: isRoot
        ? {
            arrange: async () => {
              const disk = await tempDisk({ sizeBytes: 60_000 });
              const fault = await other({ filesFolder: disk.path });
              return {
                ...fault,
                elsewhere: true,
                undo: async () => {
                  await fault.undo?.();
                  await disk.remove();
                },
              };
            },
            code: 'target-full',
            stage: 'transfer',
          }
        : onlyRoot,
      unreachable: { ...refused, code: 'target-unreachable', stage: 'connect' },
      ...pathFaults(() => proxy),
    },
    checks: {
      ...commonChecks,
      connect: refused,
      login: wrongPassword,
      folder: { arrange: () => ({ config: { path: 'no/such/folder' } }) },
      write: { arrange: () => other({ readOnly: true }) },
      remove: { isSkipped: true, arrange: () => other({ config: ['refuse options = delete'] }) },
    },
    hostile,
  });

  let places = 0;
  pathContract({
    name: 'rsync',
    handler: rsyncHandler,
    option: 'layout',
    async place() {
      const path = `place-${(places += 1)}`;
      const folder = join(rsyncd.filesFolder, path);
      await mkdir(folder);
      return {
        config: { ...common(), via: via(), path },
        get: (name) => readFile(join(folder, name)).catch(() => undefined),
        async put(name, content) {
          await mkdir(dirname(join(folder, name)), { recursive: true });
          await writeFile(join(folder, name), content);
        },
        names: () => filesUnder(folder),
      };
    },
  });
});
