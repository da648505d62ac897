import { readFileSync } from 'node:fs';
import { makeStudy } from '@dicom-dispatch/samples';
import { expect, test } from 'vitest';
import { startOrthanc } from './orthanc.ts';
import { waitFor } from './wait-for.ts';

test('stores a study, reports it as stable, and still has it after a kill', async () => {
  await using orthanc = await startOrthanc();
  const study = makeStudy({ instancesPerSeries: 2 });
  for (const { bytes } of study) expect((await orthanc.upload(bytes)).Status).toBe('Success');
  expect(await orthanc.studies()).toHaveLength(1);
  expect(await orthanc.sopInstanceUids()).toEqual([...study].map((one) => one.sopInstanceUid).sort());
  await waitFor(async () => {
    const { Changes } = (await orthanc.get('/changes')) as { Changes: { ChangeType: string }[] };
    return Changes.some((change) => change.ChangeType === 'StableStudy');
  });
  await orthanc.kill('SIGKILL');
  await orthanc.restart();
  expect(await orthanc.studies()).toHaveLength(1);
});

test('requires a password if users are configured, and loads its plugins', async () => {
  await using orthanc = await startOrthanc({ users: { alice: 'secret' }, plugins: ['dicomweb', 'python'] });
  expect(await orthanc.get('/plugins')).toEqual(expect.arrayContaining(['dicom-web', 'python']));
  const stranger = await fetch(`${orthanc.url}/system`);
  expect(stranger.status).toBe(401);
  await stranger.body?.cancel();
});

test('leaves no process and no folder', async () => {
  const orthanc = await startOrthanc();
  const pid = orthanc.pid();
  await orthanc.stop();
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  expect(() => readFileSync(`${orthanc.folder}/orthanc.json`)).toThrow('ENOENT');
});
