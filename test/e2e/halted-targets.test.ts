import { startHttpServer, waitFor } from '@dicom-dispatch/harness';
import { retryDelivery } from '@dicom-dispatch/operations';
import { openPipeline } from '@dicom-dispatch/pipeline';
import { Circuits } from '@dicom-dispatch/state/circuit';
import { expect, it } from 'vitest';
import { quick } from './support/pacs-target.ts';
import { startInProcess } from './support/start-in-process.ts';
import { prefix, startSystem } from './support/system.ts';

/** Tag and value representation in Explicit VR Little Endian. */
const sopClassUid = String.fromCharCode(0x08, 0, 0x16, 0) + 'UI';
const sopInstanceUid = String.fromCharCode(0x08, 0, 0x18, 0) + 'UI';

function valuesOf(text: string, tag: string): string[] {
  return text
    .split(tag)
    .slice(1)
    .map((rest) => /^[\d.]+/.exec(rest.slice(2))?.[0] ?? '');
}

it('a study that a target rejects alone does not block others, and fails once others succeed', async () => {
  await using system = await startSystem();
  let forbidden = '';
  let isForbidden = true;
  // Storing is forbidden for one study only, but the receiver's response applies to the target as a whole.
  await using server = await startHttpServer((request, response) => {
    if (request.method !== 'POST') return void response.writeHead(204).end();
    const text = request.body.toString('latin1');
    if (isForbidden && forbidden !== '' && text.includes(forbidden)) return void response.writeHead(403).end();
    const uids = valuesOf(text, sopInstanceUid);
    const classes = valuesOf(text, sopClassUid);
    const stored = uids.map((uid, index) => ({
      '00081150': { vr: 'UI', Value: [classes[index]] },
      '00081155': { vr: 'UI', Value: [uid] },
    }));
    response.writeHead(200, { 'content-type': 'application/dicom+json' });
    response.end(JSON.stringify({ '00081199': { vr: 'SQ', Value: stored } }));
  });
  const bad = await system.upload({ seed: 'bad', instancesPerSeries: 1, rows: 16, columns: 16 });
  forbidden = bad.studyInstanceUid;
  const target = { type: 'dicomweb', url: server.url, attempts: 2, concurrency: 1, verify: 'none', ...quick };
  const sources = { main: { url: system.orthanc.url, pollInterval: '200ms', startFrom: 'everything' } };
  await using running = await startInProcess({
    config: system.config({ web: target }, { sources }),
    circuitPauses: { firstMs: 300, maxMs: 600 },
  });
  const circuits = new Circuits(system.client, prefix);
  await waitFor(async () => (await circuits.state('web')).failures >= 1, { message: 'it halts' });
  expect((await circuits.state('web')).error).toMatchObject({ fault: 'configuration' });
  // No other delivery is tried: the fault may be that of the target.
  await waitFor(async () => (await circuits.state('web')).failures >= 3, { message: 'it halts' });
  expect(await system.untilDelivery(bad, 'web', ['waiting'])).toMatchObject({ attempts: 0, failures: 0 });
  const good = await Promise.all(
    [1, 2, 3, 4].map((number) =>
      system.upload({ seed: `good ${number}`, instancesPerSeries: 1, rows: 16, columns: 16 }),
    ),
  );
  for (const study of good) await system.untilDelivery(study, 'web', ['delivered']);
  const failed = await system.untilDelivery(bad, 'web', ['failed']);
  expect(failed).toMatchObject({ error: { code: 'study-refused', fault: 'instance' } });
  expect(failed.error?.message).toContain('other studies are delivered, this study is not: ');
  expect((await circuits.state('web')).state).toBe('closed');
  isForbidden = false;
  await retryDelivery(openPipeline(running.config, system.client), failed.deliveryId, { name: 'test' });
  await system.untilDelivery(bad, 'web', ['delivered']);
  expect(running.redis.status).toBe('ready');
});
