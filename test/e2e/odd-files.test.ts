import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashDataset, startOrthanc, tempFolder } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { expect, it } from 'vitest';
import { startFaultScp } from './support/fault-scp.ts';
import { pacsTarget, quick } from './support/pacs-target.ts';
import { startFollowing } from './support/start-in-process.ts';
import { startSystem } from './support/system.ts';

/** Files that Orthanc accepts and serves although they do not fully conform to Part 10 (PS3.10 section 7). */
const forms: Readonly<Record<string, (file: Buffer) => Buffer>> = {
  'no preamble': (file) => file.subarray(132),
  'no file meta': (file) => file.subarray(144 + file.readUInt32LE(140)),
  'group length too small': (file) => withGroupLength(file, -6),
  'group length too large': (file) => withGroupLength(file, 20),
};

function withGroupLength(file: Buffer, by: number): Buffer {
  const changed = Buffer.from(file);
  changed.writeUInt32LE(file.readUInt32LE(140) + by, 140);
  return changed;
}

it('what Orthanc stores without preamble, without file meta or with a wrong group length is delivered', async () => {
  await using system = await startSystem();
  await using folder = await tempFolder('odd files');
  await using scp = await startFaultScp();
  await using web = await startOrthanc({ plugins: ['dicomweb'] });
  await using rest = await startOrthanc();
  await using dispatch = await startFollowing({
    config: system.config({
      files: { type: 'folder', path: folder.path, minFree: 0, layout: 'flat', ...quick },
      pacs: pacsTarget(scp),
      web: { type: 'dicomweb', url: `${web.url}/dicom-web`, ...quick },
      rest: { type: 'orthanc', url: rest.url, ...quick },
    }),
  });
  const study = makeStudy({ seed: 'odd', instancesPerSeries: Object.keys(forms).length, rows: 16, columns: 16 });
  const files = new Map<string, Buffer>();
  const datasets = new Map<string, string>();
  let orthancStudyId = '';
  for (const [index, { bytes, sopInstanceUid }] of [...study].entries()) {
    const form = Object.values(forms)[index] ?? ((file: Buffer) => file);
    files.set(sopInstanceUid, form(bytes));
    datasets.set(sopInstanceUid, hashDataset(bytes));
    ({ ParentStudy: orthancStudyId } = await system.orthanc.upload(form(bytes)));
  }
  const uploaded = { study, studyInstanceUid: study.studyInstanceUid, orthancStudyId, datasets };
  for (const target of ['files', 'pacs', 'web', 'rest']) {
    const delivery = await system.untilDelivery(uploaded, target, ['delivered', 'partial', 'failed']).catch((error) => {
      throw new Error(dispatch.output(), { cause: error });
    });
    expect(delivery, target).toMatchObject({ state: 'delivered', error: undefined });
  }
  const found = new Map<string, Buffer>();
  for (const name of await readdir(folder.path)) {
    if (name.startsWith('.')) continue;
    found.set(name.replace(/\.dcm$/, ''), await readFile(join(folder.path, name)));
  }
  expect(found).toEqual(files);
  expect(scp.accepted()).toEqual(datasets);
  for (const receiver of [web, rest]) expect(await receiver.sopInstanceUids()).toEqual([...datasets.keys()].sort());
});
