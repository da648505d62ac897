import { join } from 'node:path';
import { waitFor } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFaultScp, type FaultScp } from './support/fault-scp.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startDispatch } from './support/start-dispatch.ts';
import { startSystem, type System, type UploadedStudy } from './support/system.ts';

/**
 * A checkout of an older version with the same data format, whose services are replaced; otherwise the services of this
 * version.
 */
const former = process.env['DICOM_DISPATCH_FORMER'];
const main = former === undefined ? {} : { main: join(former, 'packages/cli/src/main.ts') };

let system: System;
let scp: FaultScp;
beforeAll(async () => {
  [system, scp] = await Promise.all([startSystem(), startFaultScp()]);
});
afterAll(async () => {
  await scp[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

it('dispatchers and the router are replaced one after another with running deliveries: each instance arrives once', async () => {
  const config = system.config({ pacs: pacsTarget(scp, { concurrency: 2 }) });
  scp.delayMs = 400;
  const underWay = () => waitFor(async () => (await system.records.counts('pacs')).active > 0);
  await using router = await startDispatch({ command: 'router', config, ...main });
  await using first = await startDispatch({ command: 'dispatcher', config, ...main });
  await using second = await startDispatch({ command: 'dispatcher', config, ...main });
  const studies: UploadedStudy[] = [];
  const upload = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at += 1) {
      studies.push(
        await system.upload({ seed: `rolling ${studies.length}`, instancesPerSeries: 10, rows: 8, columns: 8 }),
      );
    }
  };
  await upload(6);
  await underWay();
  const newOnes = [];
  for (const old of [first, second]) {
    const replacement = await startDispatch({ command: 'dispatcher', config });
    newOnes.push(replacement);
    await upload(3);
    await underWay();
    await old.kill('SIGTERM');
  }
  await router.kill('SIGTERM');
  newOnes.push(await startDispatch({ command: 'router', config }));
  await upload(3);
  for (const study of studies) await system.untilDelivery(study, 'pacs', ['delivered']);
  const uids = scp.stores.map(({ sopInstanceUid }) => sopInstanceUid);
  expect(new Set(uids)).toEqual(new Set(studies.flatMap(({ datasets }) => [...datasets.keys()])));
  expect(uids.length).toBe(new Set(uids).size);
  for (const one of newOnes) await one.stop();
});
