import { connect } from 'node:net';
import { tempFolder, waitFor } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget, quick } from './support/pacs-target.ts';
import { startDispatch } from './support/start-dispatch.ts';
import { startSystem } from './support/system.ts';

const small = { instancesPerSeries: 2, rows: 16, columns: 16 };

it('router, dispatcher and console survive that no file can be opened: reported by name, and no other part is held responsible', async () => {
  await using system = await startSystem();
  await using scp = await startFaultScp();
  await using folder = await tempFolder('few-files');
  await using dispatch = await startDispatch({
    config: system.config({ pacs: pacsTarget(scp), disk: { type: 'folder', path: folder.path, ...quick } }),
    // About twice the usage without work.
    host: { address: '127.0.0.1', prefix: ['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh'] },
  });
  const targets = ['pacs', 'disk'];
  const first = await system.upload({ ...small, seed: 'first' });
  for (const target of targets) await system.untilDelivery(first, target, ['delivered']);
  // These connections use up the remaining files.
  const held = Array.from({ length: 80 }, () => connect(dispatch.ports[0]!, '127.0.0.1').on('error', () => {}));
  const studies = [first];
  for (const seed of ['second', 'third']) studies.push(await system.upload({ ...small, seed }));
  await waitFor(() => /"code":"local-resources"|EMFILE/.test(dispatch.output()), {
    message: () => dispatch.output(),
  });
  for (const socket of held) socket.destroy();
  for (const study of studies) {
    for (const target of targets) {
      const record = await system.untilDelivery(study, target, ['delivered']).catch((error: unknown) => {
        throw new Error(dispatch.output(), { cause: error });
      });
      expect(record.quarantined).toBe(0);
    }
  }
  expect(dispatch.isRunning()).toBe(true);
  expect(dispatch.output()).not.toMatch(/"code":"(source-instance|target|instance)-[a-z-]*"/);
});
