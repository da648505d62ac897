import {
  leasePort,
  makeCertificates,
  startDcmqrscp,
  startFaultProxy,
  startOrthanc,
  type DcmqrscpServer,
  type OrthancServer,
  type PortLease,
} from '@dicom-dispatch/harness';
import { makeStudy, type SampleStudy } from '@dicom-dispatch/samples';
import { createServer, UID } from 'dicom-dimse';
import { dataSet, decodeDataSet } from 'dicom-dimse/dataset';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { fixtureStudy, part10Facts } from '../contract-suite/index.ts';
import type { FindQuery, FoundStudy, RetrieveProgress, RetrieveRequest } from '@dicom-dispatch/target-kit';
import { dicomHandler } from './handler.ts';
import { dicomTarget, type DicomTarget } from './schema.ts';

const find = (config: DicomTarget, query: FindQuery, signal = new AbortController().signal): Promise<FoundStudy[]> =>
  Array.fromAsync(dicomHandler.pull!.find(query, { config, targetName: 'pacs', signal }));

interface Pulled {
  readonly result: RetrieveProgress;
  readonly progress: RetrieveProgress[];
  /** SOP Instance UID to digest of the data set. */
  readonly came: Map<string, number>;
}

async function pull(
  config: DicomTarget,
  request: Partial<RetrieveRequest> & { readonly studyInstanceUid: string },
  signal = new AbortController().signal,
  came = new Map<string, number>(),
): Promise<Pulled> {
  const progress: RetrieveProgress[] = [];
  const result = await dicomHandler.pull!.retrieve(
    {
      has: (uid) => came.has(uid),
      async store(uid, { body }) {
        const facts = await part10Facts(body);
        expect(facts.sopInstanceUid).toBe(uid);
        came.set(uid, facts.datasetDigest);
      },
      progress: (one) => progress.push(one),
      ...request,
    },
    { config, targetName: 'pacs', signal },
  );
  return { result, progress, came };
}

async function digests(study: SampleStudy): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const { sopInstanceUid, bytes } of study) {
    found.set(sopInstanceUid, (await part10Facts([bytes])).datasetDigest);
  }
  return found;
}

const small = { rows: 16, columns: 16 } as const;
const first = makeStudy({ seed: 'pull 1', series: 2, instancesPerSeries: 3, ...small });
const second = makeStudy({ seed: 'pull 2', series: 1, instancesPerSeries: 2, ...small });

describe.each(['Orthanc', 'dcmqrscp'] as const)('pulling from %s', (kind) => {
  let orthanc: OrthancServer;
  let archive: DcmqrscpServer;
  let lease: PortLease;
  let base: Record<string, unknown>;

  beforeAll(async () => {
    lease = await leasePort();
    if (kind === 'Orthanc') {
      orthanc = await startOrthanc({
        modalities: { us: ['MOVEDEST', '127.0.0.1', lease.port] },
        extraConfig: { DicomAlwaysAllowFind: true, DicomAlwaysAllowGet: true, DicomAlwaysAllowMove: true },
      });
      for (const { bytes } of [...first, ...second]) await orthanc.upload(bytes);
      base = { port: orthanc.dicomPort, calledAeTitle: orthanc.aet };
      return;
    }
    archive = await startDcmqrscp({ moveDestinations: [{ aet: 'MOVEDEST', port: lease.port }] });
    base = { port: archive.port, calledAeTitle: archive.aet, maxParallel: 1 };
    for (const study of [first, second]) {
      const instances = [...study].map(({ bytes, ...one }) => ({
        manifest: { ...one, sizeBytes: bytes.length, sourceId: one.sopInstanceUid, version: '1' },
        read: () => [bytes],
        facts: () => part10Facts([bytes]),
      }));
      const { error } = await new TestDelivery(dicomHandler, { ...fixtureStudy(), instances }).attempt(configured());
      expect(error).toBeUndefined();
    }
  });
  afterAll(async () => {
    await orthanc?.stop();
    await archive?.stop();
    lease.release();
  });

  const configured = (more: Record<string, unknown> = {}): DicomTarget =>
    dicomTarget.parse({ type: 'dicom', host: '127.0.0.1', ...base, ...more });
  const moving = () =>
    configured({ retrieve: 'move', moveTo: { aeTitle: 'MOVEDEST', listen: `127.0.0.1:${lease.port}` } });

  it('finds by accession number, patient, study and date', async () => {
    const [instance] = [...first];
    for (const query of [
      { accessionNumber: first.accessionNumber },
      { patientId: first.patientId },
      { studyInstanceUid: first.studyInstanceUid },
      { studyInstanceUid: first.studyInstanceUid, studyDate: '19000101-20991231' },
    ]) {
      const studies = await find(configured(), query);
      expect(studies.map((study) => study.studyInstanceUid)).toEqual([first.studyInstanceUid]);
      expect(studies[0]?.tags).toMatchObject({ PatientID: first.patientId, AccessionNumber: first.accessionNumber });
      expect(studies[0]?.series.map((series) => series.seriesInstanceUid)).toContain(instance?.seriesInstanceUid);
      expect(studies[0]?.series.length).toBe(2);
    }
    expect((await find(configured(), {})).length).toBe(2);
    expect(await find(configured(), { accessionNumber: 'NO-SUCH' })).toEqual([]);
    expect(await find(configured(), { studyInstanceUid: first.studyInstanceUid, studyDate: '19000101' })).toEqual([]);
  });

  it('filters on series', async () => {
    const [instance] = [...first];
    const modality = instance?.modality ?? '';
    const found = await find(configured(), {
      studyInstanceUid: first.studyInstanceUid,
      series: { Modality: modality },
    });
    expect(found[0]?.series.every(({ tags }) => tags['Modality'] === modality)).toBe(true);
    expect(await find(configured(), { series: { Modality: 'XX' } })).toEqual([]);
    await expect(find(configured(), { series: { Modalty: 'CT' } })).rejects.toMatchObject({
      code: 'config-invalid',
      message: 'series cannot be searched by Modalty',
    });
    const one = { SeriesInstanceUID: instance?.seriesInstanceUid ?? '' };
    expect((await find(configured(), { series: one }))[0]?.series.length).toBe(1);
  });

  it.each(['get', 'move'])('retrieves by C-%s with progress', async (how) => {
    const config = how === 'move' ? moving() : configured();
    const { result, progress, came } = await pull(config, { studyInstanceUid: first.studyInstanceUid });
    expect(result).toEqual({ completed: 6, failed: 0, remaining: 0 });
    expect(progress[0]).toEqual({ completed: 0, failed: 0, remaining: 6 });
    expect(progress.map(({ completed }) => completed)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(came).toEqual(await digests(first));
  });

  it.each(['get', 'move'])('retrieves by C-%s only missing instances, and only the requested series', async (how) => {
    const config = how === 'move' ? moving() : configured();
    const all = [...first];
    const came = new Map([all[0], all[4]].map((one) => [one?.sopInstanceUid ?? '', 0]));
    const taken: string[] = [];
    const { result } = await pull(config, {
      studyInstanceUid: first.studyInstanceUid,
      has: (uid) => came.has(uid),
      async store(uid, { body }) {
        await part10Facts(body);
        taken.push(uid);
      },
    });
    expect(result).toEqual({ completed: 6, failed: 0, remaining: 0 });
    expect(taken.sort()).toEqual(
      all
        .map((one) => one.sopInstanceUid)
        .filter((uid) => !came.has(uid))
        .sort(),
    );
    const series = all[5]?.seriesInstanceUid ?? '';
    const part = await pull(config, { studyInstanceUid: first.studyInstanceUid, seriesInstanceUids: [series] });
    expect([...part.came.keys()].sort()).toEqual(
      all
        .filter((one) => one.seriesInstanceUid === series)
        .map((one) => one.sopInstanceUid)
        .sort(),
    );
  });

  it('finds nothing to retrieve where there is no such study', async () => {
    const { result } = await pull(configured(), { studyInstanceUid: '1.2.3' });
    expect(result).toEqual({ completed: 0, failed: 0, remaining: 0 });
  });

  it.each(['get', 'move'])('by C-%s, stops if instances cannot be stored, with the reason', async (how) => {
    const config = how === 'move' ? moving() : configured();
    const store = async (): Promise<void> => {
      throw new Error('no space');
    };
    const pulling = pull(config, { studyInstanceUid: first.studyInstanceUid, store });
    await expect(pulling).rejects.toMatchObject({ code: 'internal', message: 'received instances cannot be stored' });
  });

  it.each(['get', 'move'])('by C-%s, can be cancelled and continues later', async (how) => {
    const config = how === 'move' ? moving() : configured();
    const stop = new AbortController();
    const came = new Map<string, number>();
    const pulling = pull(
      config,
      {
        studyInstanceUid: first.studyInstanceUid,
        progress: ({ completed }) => {
          if (completed === 2) stop.abort();
        },
      },
      stop.signal,
      came,
    );
    await expect(pulling).rejects.toMatchObject({ code: 'cancelled' });
    expect(came.size).toBeLessThan(6);
    const { result } = await pull(config, { studyInstanceUid: first.studyInstanceUid }, undefined, came);
    expect(result).toEqual({ completed: 6, failed: 0, remaining: 0 });
    expect(came).toEqual(await digests(first));
  });

  it('reports that the archive is unreachable, rejects us, or does not know our destination', async () => {
    const request = { studyInstanceUid: first.studyInstanceUid };
    await expect(pull(configured({ port: lease.port }), request)).rejects.toMatchObject({ code: 'target-unreachable' });
    const proxy = await startFaultProxy({ port: Number(base['port']), blackHole: true });
    const silent = configured({ port: proxy.port, associationTimeout: '200ms' });
    await expect(find(silent, {})).rejects.toMatchObject({ code: 'target-timeout' });
    // Its connection to the archive prevents dcmqrscp from accepting another.
    await proxy.stop();
    const moveTo = { aeTitle: 'STRANGER', listen: `127.0.0.1:${lease.port}` };
    if (kind === 'Orthanc') return;
    await expect(pull(configured({ retrieve: 'move', moveTo }), request)).rejects.toMatchObject({
      code: 'target-misconfigured',
      message: 'the receiver does not know the destination STRANGER',
    });
    await expect(find(configured({ calledAeTitle: 'WRONG' }), {})).rejects.toMatchObject({ code: 'target-rejected' });
  });
});

it('pulls by DICOM TLS with our certificate, from an Orthanc', async () => {
  const { ca, server, client } = await makeCertificates();
  await using orthanc = await startOrthanc({
    dicomTls: { key: server.key, cert: server.cert, ca: ca.cert },
    extraConfig: { DicomAlwaysAllowFind: true, DicomAlwaysAllowGet: true },
  });
  for (const { bytes } of second) await orthanc.upload(bytes);
  const config = dicomTarget.parse({
    type: 'dicom',
    host: 'localhost',
    port: orthanc.dicomPort,
    calledAeTitle: orthanc.aet,
    tls: { ca: ca.certFile, cert: client.certFile, key: client.keyFile },
  });
  const { came } = await pull(config, { studyInstanceUid: second.studyInstanceUid });
  expect(came).toEqual(await digests(second));
});

describe('pulling from an archive that', () => {
  const instances = [...first];

  it('does not return some instances: they are requested individually, then counted as failed', async () => {
    const bad = instances[1]?.sopInstanceUid ?? '';
    const asked: unknown[] = [];
    const server = createServer({
      presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
      handlers: {
        async *find({ identifier }) {
          const { QueryRetrieveLevel, SeriesInstanceUID } = await decodeDataSet(identifier);
          if (QueryRetrieveLevel === 'SERIES') {
            for (const uid of new Set(instances.map((one) => one.seriesInstanceUid))) {
              yield dataSet({ SeriesInstanceUID: uid });
            }
          }
          if (QueryRetrieveLevel !== 'IMAGE') return;
          // This archive does not return SOP classes.
          for (const one of instances) {
            if (one.seriesInstanceUid === SeriesInstanceUID) yield dataSet({ SOPInstanceUID: one.sopInstanceUid });
          }
        },
        async get({ identifier }) {
          const wanted = await decodeDataSet(identifier);
          asked.push(wanted['QueryRetrieveLevel']);
          const sent = instances.filter(
            (one) =>
              one.seriesInstanceUid === wanted['SeriesInstanceUID'] &&
              one.sopInstanceUid !== bad &&
              (wanted['SOPInstanceUID'] === undefined || wanted['SOPInstanceUID'] === one.sopInstanceUid),
          );
          return { count: sent.length, instances: sent.map(({ bytes }) => [bytes]) };
        },
      },
    });
    const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
    const config = dicomTarget.parse({ type: 'dicom', host: '127.0.0.1', port, calledAeTitle: 'ARCHIVE' });
    const { result, came } = await pull(config, { studyInstanceUid: first.studyInstanceUid });
    expect(result).toMatchObject({ completed: 5, failed: 1, remaining: 0 });
    expect(result.problems).toMatchObject([{ sopInstanceUid: bad, reason: expect.stringContaining('retrieve: move') }]);
    expect(came.size).toBe(5);
    expect(asked).toEqual(['SERIES', 'SERIES', 'IMAGE']);
    await server.close();
  });

  it.each([
    ['get', 'the receiver does not offer C-GET (Study Root)'],
    ['move', 'the receiver does not offer C-MOVE (Study Root)'],
  ])('does not offer C-%s says so', async (how, message) => {
    const server = createServer({
      presentationContexts: ({ abstractSyntax, transferSyntaxes }) =>
        abstractSyntax === UID.studyRootFind ? transferSyntaxes[0] : undefined,
      handlers: {
        async *find() {
          yield dataSet({
            SeriesInstanceUID: '1.2',
            SOPInstanceUID: '1.2.3',
            SOPClassUID: '1.2.840.10008.5.1.4.1.1.2',
          });
        },
      },
    });
    const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
    const lease = await leasePort();
    const moveTo = { aeTitle: 'US', listen: `127.0.0.1:${lease.port}` };
    const config = dicomTarget.parse({
      type: 'dicom',
      host: '127.0.0.1',
      port,
      calledAeTitle: 'A',
      retrieve: how,
      moveTo,
    });
    await expect(pull(config, { studyInstanceUid: '1.2' })).rejects.toMatchObject({
      code: 'target-misconfigured',
      message,
    });
    lease.release();
    await server.close();
  });
});
