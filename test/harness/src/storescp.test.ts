import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeStudy } from '@dicom-dispatch/samples';
import { expect, test } from 'vitest';
import { hashDataset } from './part10-summary.ts';
import { startStorescp } from './storescp.ts';
import { tempFolder } from './temp-folder.ts';

const run = promisify(execFile);

test('stores what it is sent, byte for byte', async () => {
  await using scp = await startStorescp();
  await using folder = await tempFolder();
  const [instance] = makeStudy({ instancesPerSeries: 1 });
  const file = join(folder.path, 'one.dcm');
  await writeFile(file, instance!.bytes);
  await run('storescu', ['-aec', scp.aet, '127.0.0.1', String(scp.port), file]);
  const [received, ...more] = await scp.received();
  expect(more).toEqual([]);
  expect(received).toMatchObject({
    sopInstanceUid: instance!.sopInstanceUid,
    sopClassUid: instance!.sopClassUid,
    transferSyntaxUid: instance!.transferSyntaxUid,
    datasetSha256: hashDataset(instance!.bytes),
  });
});

test('rejects associations if configured', async () => {
  await using scp = await startStorescp({ args: ['--refuse'] });
  await expect(run('echoscu', ['127.0.0.1', String(scp.port)])).rejects.toThrow('Association Rejected');
});
