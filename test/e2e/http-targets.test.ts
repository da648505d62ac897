import {
  loginPage,
  startCountingProxy,
  startLyingProxy,
  startOrthanc,
  waitFor,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import { makeStudy } from '@dicom-dispatch/samples';
import { describe, expect, it } from 'vitest';
import { startDispatch } from './support/start-dispatch.ts';
import { startFollowing } from './support/start-in-process.ts';
import { startSystem } from './support/system.ts';

const quick = { attempts: 2, backoff: { first: '200ms', max: '200ms', jitter: 0 } };
/** Data Set Trailing Padding (FFFC,FFFC) OB of two bytes. */
const padding = Buffer.from([0xfc, 0xff, 0xfc, 0xff, 0x4f, 0x42, 0, 0, 2, 0, 0, 0, 0, 0]);
const small = { series: 1, rows: 16, columns: 16 };

describe('HTTP targets in the complete system', () => {
  it('instances that a transform changes are made once and sent once, in full batches', async () => {
    await using system = await startSystem();
    await using source = await startCountingProxy(system.orthanc.url);
    await using target = await startOrthanc({ plugins: ['dicomweb'] });
    await using front = await startCountingProxy(target.url);
    await using dispatch = await startFollowing({
      config: system.config(
        { web: { type: 'dicomweb', url: `${front.url}/dicom-web`, transform: 'marked' } },
        {
          sources: { main: { url: source.url, pollInterval: '200ms' } },
          transforms: { marked: { set: { InstitutionName: 'Elsewhere' } } },
        },
      ),
    });
    const study = await system.upload({ seed: 'changed', instancesPerSeries: 60, ...small });
    const delivery = await system.untilDelivery(study, 'web', ['delivered', 'failed', 'partial']);
    expect(delivery, dispatch.output()).toMatchObject({ state: 'delivered', confirmed: 60, attempts: 1 });
    expect(source.count('POST', /^\/instances\/[^/]+\/modify$/)).toBe(60);
    expect(front.count('POST', /^\/dicom-web\/studies$/)).toBe(3);
    expect((await target.sopInstanceUids()).sort()).toEqual([...study.datasets.keys()].sort());
    const [first] = (await target.get('/instances?expand')) as { ID: string }[];
    const tags = (await target.get(`/instances/${first?.ID}/simplified-tags`)) as Record<string, string>;
    expect(tags['InstitutionName']).toBe('Elsewhere');
  });

  it('a login page in front of a DICOMweb service and of an Orthanc confirms nothing; afterwards all arrives', async () => {
    await using system = await startSystem();
    await using target = await startOrthanc({ plugins: ['dicomweb'] });
    await using proxy = await startLyingProxy({
      url: target.url,
      liar: ({ method }) => (method === 'POST' ? { kind: 'text', body: loginPage } : undefined),
    });
    await using dispatch = await startDispatch({
      config: system.config({
        web: { type: 'dicomweb', url: `${proxy.url}/dicom-web`, verifyTimeout: '200ms', ...quick },
        rest: { type: 'orthanc', url: proxy.url, ...quick },
      }),
    });
    const study = await system.upload({ seed: 'login', instancesPerSeries: 5, ...small });
    for (const name of ['web', 'rest']) {
      const failed = await system.untilDelivery(study, name, ['delivered', 'partial', 'failed']);
      expect(failed).toMatchObject({ state: 'failed', confirmed: 0, quarantined: 0, error: { code: 'target-error' } });
      expect(failed.error?.message).toContain('nothing is confirmed');
    }
    expect(await target.sopInstanceUids()).toEqual([]);
    proxy.beHonest();
    for (const name of ['web', 'rest']) {
      const { deliveryId } = await system.untilDelivery(study, name, ['failed']);
      await fetch(`${dispatch.url}/api/deliveries/${deliveryId}/retry`, { method: 'POST' });
      await system.untilDelivery(study, name, ['delivered']);
    }
    expect((await target.sopInstanceUids()).length).toBe(5);
  });

  it('a study that was corrected in the source arrives, or this is reported', async () => {
    await using system = await startSystem({ overwriteInstances: true });
    await using kept = await startOrthanc();
    await using replaced = await startOrthanc();
    await using dispatch = await startFollowing({
      config: system.config({
        kept: { type: 'orthanc', url: kept.url, ...quick },
        replaced: { type: 'orthanc', url: replaced.url, onConflict: 'overwrite', ...quick },
      }),
    });
    const study = await system.upload({ seed: 'corrected', instancesPerSeries: 3, ...small });
    for (const name of ['kept', 'replaced']) await system.untilDelivery(study, name, ['delivered']);
    const before = await kept.studies();
    // Of another size: then it is another version even if it was received in the same second.
    for (const instance of makeStudy({ seed: 'corrected', instancesPerSeries: 3, ...small })) {
      await system.orthanc.upload(Buffer.concat([instance.bytes, padding]));
    }
    await waitFor(
      async () => {
        const all = await system.records.deliveriesOfUid(study.studyInstanceUid, 'main');
        const ended = all.filter(({ state }) => ['delivered', 'partial', 'failed'].includes(state));
        return ended.length === 4;
      },
      { message: () => dispatch.output() },
    );
    const all = await system.records.deliveriesOfUid(study.studyInstanceUid, 'main');
    const refused = all.find(({ target, state }) => target === 'kept' && state !== 'delivered');
    expect(refused).toMatchObject({ state: 'failed', quarantined: 3, error: { code: 'all-quarantined' } });
    expect(all.filter(({ target, state }) => target === 'replaced' && state === 'delivered').length).toBe(2);
    expect(await kept.studies()).toEqual(before);
    const sizes = async (server: OrthancServer) =>
      ((await server.get('/instances?expand')) as { FileSize: number }[]).map(({ FileSize }) => FileSize).sort();
    const old = [...study.study].map(({ bytes }) => bytes.length).sort();
    expect(await sizes(kept)).toEqual(old);
    expect(await sizes(replaced)).toEqual(old.map((size) => size + padding.length));
  });
});
