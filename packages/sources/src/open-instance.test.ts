import { startHttpServer, startOrthanc, type OrthancServer } from '@dicom-dispatch/harness';
import { createOrthancClient, type OrthancClient } from '@dicom-dispatch/orthanc';
import { makeStudy, transferSyntaxes } from '@dicom-dispatch/samples';
import type { ManifestInstance } from '@dicom-dispatch/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openInstance, preparationMs } from './open-instance.ts';

const jpeg2000 = '1.2.840.10008.1.2.4.90';

describe('opening an instance at an Orthanc', () => {
  let server: OrthancServer;
  let orthanc: OrthancClient;
  let instance: ManifestInstance;
  let stored: Buffer;

  beforeAll(async () => {
    server = await startOrthanc();
    orthanc = createOrthancClient({ url: server.url });
    const [sample] = [
      ...makeStudy({ seed: 'open', instancesPerSeries: 1, rows: 16, columns: 16, transferSyntax: 'rle' }),
    ];
    if (!sample) throw new Error('the sample study has no instance');
    stored = sample.bytes;
    const { ID } = await server.upload(stored);
    instance = {
      sopInstanceUid: sample.sopInstanceUid,
      seriesInstanceUid: sample.seriesInstanceUid,
      studyInstanceUid: sample.studyInstanceUid,
      sopClassUid: sample.sopClassUid,
      transferSyntaxUid: sample.transferSyntaxUid,
      instanceNumber: 1,
      sizeBytes: stored.length,
      sourceId: ID,
      version: '1',
    };
  });
  afterAll(async () => {
    await orthanc.close();
    await server.stop();
  });

  it('allows more time until the first byte of a large instance', async () => {
    await using slow = await startHttpServer((_, response) => {
      setTimeout(() => response.end(stored), 3_000);
    });
    await using client = createOrthancClient({ url: slow.url, timeoutMs: 100 });
    const opened = openInstance(client, 'main', { ...instance, sizeBytes: 3_000_000_000 });
    // The response came, and is judged by its size.
    await expect(opened).rejects.toMatchObject({ code: 'source-bytes-wrong' });
    expect(preparationMs({ ...instance, sizeBytes: 3_000_000_000 })).toBe(600_000);
  });

  it('gives the file as it is stored', async () => {
    const { sizeBytes, body } = await openInstance(orthanc, 'main', instance);
    expect(sizeBytes).toBe(stored.length);
    expect(Buffer.concat(await Array.fromAsync(body)).equals(stored)).toBe(true);
  });

  it('returns it in another transfer syntax, with the same UIDs', async () => {
    const transferSyntaxUid = transferSyntaxes['explicit-le'];
    const { body } = await openInstance(orthanc, 'main', instance, { transferSyntaxUid });
    const bytes = Buffer.concat(await Array.fromAsync(body));
    const meta = bytes.subarray(0, 600).toString('latin1');
    expect(meta).toContain(instance.sopInstanceUid);
    expect(meta).toContain(`${transferSyntaxUid}\0`);
    expect(meta).not.toContain(transferSyntaxes.rle);
  });

  it.each([jpeg2000, '1.2.3'])('reports that the source cannot transcode to %s', async (transferSyntaxUid) => {
    await expect(openInstance(orthanc, 'main', instance, { transferSyntaxUid })).rejects.toMatchObject({
      code: 'instance-unsupported',
      stage: 'transfer',
      message: `source main cannot transcode from ${transferSyntaxes.rle} to ${transferSyntaxUid}`,
      remedy: expect.stringContaining('GDCM'),
    });
  });

  it('reports that the instance is gone', async () => {
    const gone = { ...instance, sourceId: Array(5).fill('00000000').join('-') };
    await expect(openInstance(orthanc, 'main', gone)).rejects.toMatchObject({ code: 'source-instance-gone' });
    const transferSyntaxUid = transferSyntaxes['explicit-le'];
    await expect(openInstance(orthanc, 'main', gone, { transferSyntaxUid })).rejects.toMatchObject({
      code: 'source-instance-gone',
    });
  });

  it('requests the file itself from a newer Orthanc (simulated); other failures are not those of a codec', async () => {
    const [one, full] = ['1', 'f'].map((digit) => Array(5).fill(digit.repeat(8)).join('-')) as [string, string];
    const asked: string[] = [];
    await using newer = await startHttpServer((request, response) => {
      const { path } = request;
      asked.push(`${request.method} ${path}?${request.query.toString()}`);
      response.setHeader('content-type', 'application/json');
      if (path === '/system') {
        response.end(JSON.stringify({ ApiVersion: 22, Version: '1.12.2' }));
        return;
      }
      // The stored file of the first can be read.
      if (path === `/instances/${one}/tags`) return void response.end('{}');
      const isFull = path.includes(full);
      response.statusCode = 500;
      response.end(
        JSON.stringify({
          HttpStatus: 500,
          OrthancError: 'Internal error',
          ...(isFull ? { OrthancStatus: 2000, Details: 'the disk' } : { OrthancStatus: 2, Details: 'no such codec' }),
        }),
      );
    });
    const client = createOrthancClient({ url: newer.url });
    const open = (sourceId: string) =>
      openInstance(client, 'main', { ...instance, sourceId }, { transferSyntaxUid: jpeg2000 });
    await expect(open(one)).rejects.toMatchObject({ code: 'instance-unsupported' });
    await expect(open(full)).rejects.toMatchObject({ code: 'source-instance-failed' });
    expect(asked).toContain(`GET /instances/${one}/file?transcode=${jpeg2000}`);
    await client.close();
  });
});
