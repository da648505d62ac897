import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import {
  freePort,
  hashDataset,
  listReceived,
  startDcmqrscp,
  startOrthanc,
  startStorescp,
  tempFolder,
  waitFor,
} from '@dicom-dispatch/harness';
import { describe, expect, it } from 'vitest';
import { run, sampleStudy, writeFiles } from './dimse-fixtures.ts';

const FLAGS = ['--disable-warning=ExperimentalWarning'];
const script = (name: string): string =>
  fileURLToPath(new URL(`../../packages/dicom-dimse/examples/${name}.ts`, import.meta.url));
const example = (name: string, ...args: readonly (string | number)[]) =>
  run(process.execPath, [...FLAGS, script(name), ...args.map(String)]);

describe('the examples of dicom-dimse', () => {
  const study = sampleStudy({ seed: 'examples', instancesPerSeries: 3 });
  const [first] = study as [(typeof study)[0]];
  const hashes = study.map((instance) => hashDataset(instance.bytes)).sort();

  it('echo and send', async () => {
    await using scp = await startStorescp();
    await using folder = await tempFolder('examples');
    const files = await writeFiles(folder.path, study);
    expect((await example('echo', '127.0.0.1', scp.port, 'ANY')).output).toMatch(/^Success: OFFIS_DCMTK/);
    expect(await example('echo', '127.0.0.1', await freePort(), 'ANY')).toMatchObject({
      exitCode: 1,
      output: expect.stringContaining('connect-refused') as string,
    });
    expect(await example('send', '127.0.0.1', scp.port, 'ANY', ...files)).toMatchObject({ exitCode: 0 });
    expect((await scp.received()).map((file) => file.datasetSha256).sort()).toEqual(hashes);
  });

  it('receive', async () => {
    await using folder = await tempFolder('examples');
    await using received = await tempFolder('examples-received');
    const files = await writeFiles(folder.path, study);
    const port = await freePort();
    const child = spawn(process.execPath, [...FLAGS, script('receive'), String(port), received.path]);
    const closed = once(child, 'close');
    try {
      await once(child.stdout, 'data');
      expect(await run('storescu', ['-aec', 'EXAMPLE', '127.0.0.1', String(port), ...files])).toMatchObject({
        exitCode: 0,
      });
      expect((await listReceived(received.path)).map((file) => file.datasetSha256).sort()).toEqual(hashes);
    } finally {
      child.kill();
      await closed;
    }
  });

  it('find and get', async () => {
    await using folder = await tempFolder('examples');
    await using scp = await startDcmqrscp();
    const files = await writeFiles(folder.path, study);
    await example('send', '127.0.0.1', scp.port, scp.aet, ...files);
    const found = await example('find', '127.0.0.1', scp.port, scp.aet, '');
    expect(found.output).toContain(first.studyInstanceUid);
    await using got = await tempFolder('examples-got');
    const ran = await example(
      'get',
      '127.0.0.1',
      scp.port,
      scp.aet,
      first.studyInstanceUid,
      first.sopClassUid,
      got.path,
    );
    expect(ran.output).toContain('success: 3 instances, 0 failed');
    expect((await listReceived(got.path)).map((file) => file.datasetSha256).sort()).toEqual(hashes);
  });

  it('commit', async () => {
    const ownPort = await freePort();
    await using orthanc = await startOrthanc({ modalities: { example: ['EXAMPLE', '127.0.0.1', ownPort] } });
    await orthanc.upload(first.bytes);
    await waitFor(async () => (await orthanc.studies()).length === 1, { message: () => 'the study' });
    const ran = await example(
      'commit',
      '127.0.0.1',
      orthanc.dicomPort,
      orthanc.aet,
      ownPort,
      first.sopClassUid,
      first.sopInstanceUid,
    );
    expect(ran).toMatchObject({ exitCode: 0, output: '1 committed, 0 failed \n' });
  });
});
