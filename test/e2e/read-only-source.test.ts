import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { httpRequest, startOrthanc, startRedis, tempFolder, waitFor } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { expect, it } from 'vitest';
import { startDispatch } from './support/start-dispatch.ts';

const script = join(import.meta.dirname, '../../deploy/orthanc/read-only-user.lua');

it('everything that a source is needed for works as a user who may change nothing there', async () => {
  await using archive = await tempFolder('archive');
  for (const name of ['plain', 'changed']) await mkdir(join(archive.path, name));
  await using scripts = await tempFolder('lua');
  const lua = join(scripts.path, 'read-only-user.lua');
  await writeFile(lua, await readFile(script));
  await using redis = await startRedis();
  await using orthanc = await startOrthanc({
    users: { admin: 'may do everything', dispatch: 'only reads' },
    extraConfig: { LuaScripts: [lua] },
  });
  await using dispatch = await startDispatch({
    env: { ORTHANC_PASSWORD: 'only reads', SECRET: 'a key for pseudonyms 0123456789' },
    config: {
      sources: {
        main: { url: orthanc.url, username: 'dispatch', password: '${ORTHANC_PASSWORD}', pollInterval: '200ms' },
      },
      targets: {
        plain: { type: 'folder', path: join(archive.path, 'plain'), minFree: 0 },
        changed: { type: 'folder', path: join(archive.path, 'changed'), minFree: 0, transform: 'anonymous' },
      },
      transforms: { anonymous: { anonymise: {} } },
      pseudonyms: { secret: '${SECRET}' },
      rules: [{ name: 'all', when: "study.InstitutionName == 'Haus'", targets: ['plain', 'changed'] }],
      redis: { url: redis.url },
    },
  });
  let id = '';
  for (const { bytes } of makeStudy({
    seed: 'read only',
    instancesPerSeries: 2,
    attributes: { InstitutionName: 'Haus' },
  })) {
    ({ ParentStudy: id } = await orthanc.upload(bytes));
  }
  const states = async (): Promise<string[]> => {
    const { body } = await dispatch.get('/api/deliveries');
    return (body as { deliveries: { target: string; state: string }[] }).deliveries
      .map(({ target, state }) => `${target} ${state}`)
      .sort();
  };
  await waitFor(async () => (await states()).join() === 'changed delivered,plain delivered', {
    message: () => `the deliveries\n${dispatch.output()}\n${orthanc.output()}`,
  });
  const { body } = await dispatch.get('/api/studies?search=*');
  expect((body as { studies: unknown[] }).studies.length).toBe(1);

  // All other requests are rejected, even with the stolen password.
  const authorization = `Basic ${Buffer.from('dispatch:only reads').toString('base64')}`;
  for (const [method, path] of [
    ['DELETE', `/studies/${id}`],
    ['POST', '/instances'],
    ['POST', `/studies/${id}/modify`],
    ['POST', `/studies/${id}/anonymize`],
    ['PUT', '/modalities/evil'],
    ['POST', '/modalities/evil/store'],
    ['PUT', `/studies/${id}/metadata/1024`],
    ['POST', '/tools/execute-script'],
    ['POST', '/tools/shutdown'],
    ['POST', '/tools/find/../shutdown'],
  ] as const) {
    const { status } = await httpRequest(`${orthanc.url}${path}`, { method, headers: { authorization }, body: '{}' });
    expect([method, path, status]).toEqual([method, path, 403]);
  }
  expect(await orthanc.studies()).toEqual([id]);
});
