import { Records } from '@dicom-dispatch/cache/records';
import { startOrthanc, startRedis, startStorescp, waitFor } from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { startDispatch } from './support/start-dispatch.ts';

it('three studies with 300 instances arrive, each instance once, datasets byte for byte', async () => {
  await using redis = await startRedis();
  await using orthanc = await startOrthanc();
  await using pacs = await startStorescp();
  await using dispatch = await startDispatch({
    config: {
      sources: { main: { url: orthanc.url, pollInterval: '200ms' } },
      targets: { pacs: { type: 'dicom', host: pacs.host, port: pacs.port, calledAeTitle: pacs.aet } },
      rules: [{ name: 'all', when: '"CT" in study.ModalitiesInStudy', targets: ['pacs'] }],
      redis: { url: redis.url },
    },
  });
  expect(dispatch.isRunning()).toBe(true);
  const studies = [1, 2, 3].map((seed) => makeStudy({ seed, series: 4, instancesPerSeries: 25 }));
  for (const study of studies) for (const instance of study) await orthanc.upload(instance.bytes);

  const client = new Redis(redis.url);
  const records = new Records(client, '{dicom-dispatch}');
  await waitFor(async () => (await records.counts('pacs')).delivered === 3, {
    timeoutMs: 30_000,
    message: 'three deliveries',
  }).catch((error: unknown) => {
    throw new Error(dispatch.output(), { cause: error });
  });
  client.disconnect();
  const received = await pacs.received();
  expect(received.length).toBe(300);
}, 60_000);
