import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeStudy } from '@dicom-dispatch/samples';
import { expect, test } from 'vitest';
import { startDcmqrscp } from './dcmqrscp.ts';
import { startStorescp } from './storescp.ts';
import { tempFolder } from './temp-folder.ts';

const run = promisify(execFile);

test('accepts a study, finds it, and moves it to allowed destinations', async () => {
  await using destination = await startStorescp({ aet: 'DEST' });
  await using archive = await startDcmqrscp({ moveDestinations: [{ aet: 'DEST', port: destination.port }] });
  await using folder = await tempFolder();
  const study = makeStudy({ instancesPerSeries: 2, rows: 16, columns: 16 });
  for (const { bytes, sopInstanceUid } of study) await writeFile(join(folder.path, `${sopInstanceUid}.dcm`), bytes);
  const address = ['-aec', archive.aet, archive.host, String(archive.port)];
  await run('storescu', [...address, '+sd', folder.path]);
  expect(await archive.received()).toHaveLength(2);
  const query = ['-S', '-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${study.studyInstanceUid}`];
  const { stderr, stdout } = await run('findscu', [...query, '-k', 'PatientID', ...address]);
  expect(stdout + stderr).toContain(study.patientId);
  await run('movescu', [...query, '-aem', 'DEST', ...address]);
  const moved = await destination.received();
  expect(moved.map((one) => one.sopInstanceUid)).toEqual([...study].map((one) => one.sopInstanceUid).sort());
});

test('rejects another called AE title', async () => {
  await using archive = await startDcmqrscp();
  const echo = run('echoscu', ['-aec', 'OTHER', archive.host, String(archive.port)]);
  await expect(echo).rejects.toThrow('Called AE Title Not Recognized');
});
