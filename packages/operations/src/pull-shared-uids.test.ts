import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseConfig, type Config } from '@dicom-dispatch/core';
import { caseFile, hashDataset, startOrthanc, tempFolder, type OrthancServer } from '@dicom-dispatch/harness';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { makeStudy } from '@dicom-dispatch/samples';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pullStudy, pullToSource } from '@dicom-dispatch/pipeline';
import { pullToFolder } from './pull-to-folder.ts';

const study = '1.2.826.0.1.3680043.10.99.2';
const names = ['dup-sop-series1.dcm', 'dup-sop-series2.dcm'];
let pacs: OrthancServer;
let source: OrthancServer;
let config: Config;

beforeAll(async () => {
  [pacs, source] = await Promise.all([
    startOrthanc({
      plugins: ['dicomweb'],
      extraConfig: { DicomAlwaysAllowFind: true, DicomAlwaysAllowGet: true },
    }),
    startOrthanc(),
  ]);
  for (const name of names) await pacs.upload(await caseFile(name));
  const parsed = parseConfig(
    {
      sources: { main: { url: source.url } },
      targets: {
        dicom: { type: 'dicom', host: '127.0.0.1', port: pacs.dicomPort, calledAeTitle: pacs.aet },
        dicomweb: { type: 'dicomweb', url: `${pacs.url}/dicom-web` },
        orthanc: { type: 'orthanc', url: pacs.url },
      },
    },
    Object.values(targetSchemas) as never,
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  ({ config } = parsed);
});
afterAll(async () => {
  await Promise.all([pacs?.stop(), source?.stop()]);
});

const pullTo = (target: string, destination: Awaited<ReturnType<typeof pullToFolder>>) =>
  pullStudy(
    { config: () => config },
    { target, studyInstanceUid: study, destination, signal: new AbortController().signal },
  );

it.each(['dicom', 'dicomweb', 'orthanc'])(
  'both of two series that share a SOP Instance UID are pulled from %s, and again nothing',
  async (target) => {
    await using folder = await tempFolder('shared');
    const hashes = await Promise.all(names.map(async (name) => hashDataset(await caseFile(name))));
    for (const round of [1, 2]) {
      const result = await pullTo(target, await pullToFolder(folder.path, study));
      expect(result, `round ${round}`).toEqual({ completed: 2, failed: 0, remaining: 0 });
      const files = await readdir(join(folder.path, study));
      const contents = await Promise.all(files.map((name) => readFile(join(folder.path, study, name))));
      expect(contents.map((bytes) => hashDataset(bytes)).sort()).toEqual(hashes.toSorted());
    }
  },
);

it('a source that has one of them gets the other', async () => {
  await source.upload(await caseFile('dup-sop-series2.dcm'));
  const destination = await pullToSource(config, 'main', study);
  try {
    expect(await pullTo('orthanc', destination)).toEqual({ completed: 2, failed: 0, remaining: 0 });
  } finally {
    await destination.close();
  }
  expect(await source.get('/statistics')).toMatchObject({ CountSeries: 2, CountInstances: 2 });
});

it('an instance that ends early is not stored in a source, whoever announced its length', async () => {
  const [whole] = makeStudy({ seed: 'cut', series: 1, instancesPerSeries: 1, rows: 64, columns: 64 });
  const { sopInstanceUid, bytes } = whole!;
  const destination = await pullToSource(config, 'main', study);
  const count = async () => ((await source.get('/statistics')) as { CountInstances: number }).CountInstances;
  const before = await count();
  async function* pieces(length: number): AsyncGenerator<Buffer> {
    for (let at = 0; at < length; at += 1000) yield bytes.subarray(at, Math.min(length, at + 1000));
  }
  try {
    for (const length of [bytes.length - 500, bytes.length - 5000]) {
      for (const sizeBytes of [length, undefined]) {
        const store = destination.store(sopInstanceUid, { sizeBytes, body: pieces(length) });
        await expect(store).rejects.toMatchObject({
          code: 'instance-unsupported',
          message: 'the target sent an instance that ends early',
        });
      }
    }
    expect(await count()).toBe(before);
    await destination.store(sopInstanceUid, { sizeBytes: bytes.length, body: pieces(bytes.length) });
    expect(await count()).toBe(before + 1);
  } finally {
    await destination.close();
  }
});
