import { hashDataset, startDcmqrscp, startStorescp } from '@dicom-dispatch/harness';
import type { DcmqrscpServer } from '@dicom-dispatch/harness';
import { stopClock } from '@dicom-dispatch/harness/stop-clock';
import { UID, createServer } from 'dicom-dimse';
import type { ObserverEvent } from 'dicom-dimse';
import { dataSet, findDataSets } from 'dicom-dimse/dataset';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VERIFICATION, contextsFor, open, sampleStudy } from './dimse-fixtures.ts';

const IMPLICIT = '1.2.840.10008.1.2';
const EXPLICIT = '1.2.840.10008.1.2.1';

describe('storescp', () => {
  it('answers a C-ECHO and stores instances byte by byte, with the early byte and without', async () => {
    await using scp = await startStorescp();
    const instances = sampleStudy({ seed: 'early' });
    for (const earlyByte of [true, false]) {
      const events: ObserverEvent[] = [];
      const association = await open({
        port: scp.port,
        presentationContexts: [VERIFICATION, ...contextsFor(instances)],
        earlyByte,
        observer: (event) => void events.push(event),
      });
      expect(await association.echo()).toMatchObject({ status: 0 });
      const results = await Promise.all(instances.map((instance) => association.store([instance.bytes])));
      expect(results.map((result) => result.class)).toEqual(instances.map(() => 'success'));
      await association.release();
      expect(await association.ended).toBeUndefined();
      // DCMTK without TCP_NODELAY writes a response in two parts, so that the byte has its chance.
      if (!earlyByte) expect(events.some((event) => event.type === 'early-byte-sent')).toBe(false);
      const received = await scp.received();
      expect(received.map((file) => [file.sopInstanceUid, file.datasetSha256])).toEqual(
        instances
          .map((instance) => [instance.sopInstanceUid, hashDataset(instance.bytes)])
          .sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
      );
    }
  });

  it.each([4096, 131_072])('accepts PDUs of its maximum of %i bytes', async (maximum) => {
    await using scp = await startStorescp({ args: ['-pdu', String(maximum)] });
    const instances = sampleStudy({ rows: 256, columns: 256, instancesPerSeries: 2 });
    const sent: number[] = [];
    const association = await open({
      port: scp.port,
      presentationContexts: contextsFor(instances),
      observer: (event) => {
        if (event.type === 'pdu-sent' && event.pdu === 'P-DATA-TF') sent.push(event.lengthBytes);
      },
    });
    expect(association.peer.maxPduLengthBytes).toBe(maximum);
    for (const instance of instances) expect(await association.store([instance.bytes])).toMatchObject({ status: 0 });
    await association.release();
    expect(Math.max(...sent)).toBe(maximum);
    expect((await scp.received()).map((file) => file.datasetSha256).sort()).toEqual(
      instances.map((instance) => hashDataset(instance.bytes)).sort(),
    );
  });

  it('rejects an association', async () => {
    await using scp = await startStorescp({ args: ['--refuse'] });
    await expect(open({ port: scp.port, presentationContexts: [VERIFICATION] })).rejects.toMatchObject({
      code: 'association-rejected',
      rejection: { result: 'permanent', source: 'service-user', reason: 'no-reason-given' },
    });
  });

  it.each(['--abort-during', '--abort-after'])('aborts with %s', async (fault) => {
    await using scp = await startStorescp({ args: [fault] });
    const instances = sampleStudy({ rows: 512, columns: 512 });
    const association = await open({ port: scp.port, presentationContexts: contextsFor(instances) });
    const settled = await Promise.allSettled(instances.map((instance) => association.store([instance.bytes])));
    for (const one of settled) {
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'aborted', abort: { source: 'service-user' } } });
    }
  });

  it('falls silent', async () => {
    await using scp = await startStorescp({ args: ['--sleep-during', '600'] });
    const [instance] = sampleStudy();
    const sent = Promise.withResolvers<void>();
    using clock = stopClock();
    const association = await open({
      port: scp.port,
      presentationContexts: contextsFor(sampleStudy()),
      responseTimeoutMs: 300,
      observer: ({ type }) => type === 'message-sent' && sent.resolve(),
    });
    const stored = association.store([instance?.bytes ?? Buffer.alloc(0)]);
    const failed = expect(stored).rejects.toMatchObject({ code: 'response-timeout' });
    await sent.promise;
    await clock.pass(300);
    await failed;
  });

  it('is killed in the middle', async () => {
    await using scp = await startStorescp({ args: ['--sleep-during', '600'] });
    const [instance] = sampleStudy();
    const association = await open({
      port: scp.port,
      presentationContexts: contextsFor(sampleStudy()),
      observer: ({ type }) => type === 'message-sent' && void scp.kill('SIGKILL'),
    });
    const stored = association.store([instance?.bytes ?? Buffer.alloc(0)]);
    await expect(stored).rejects.toMatchObject({ code: 'connection-closed' });
  });
});

describe('dcmqrscp', () => {
  const study = sampleStudy({ seed: 'query', instancesPerSeries: 6 });
  const [first] = study as [(typeof study)[0]];
  const mover = createServer({
    presentationContexts: ({ transferSyntaxes }) => transferSyntaxes.find((syntax) => syntax === EXPLICIT),
    handlers: {
      async store(instance) {
        const chunks: Buffer[] = [];
        for await (const chunk of instance.part10()) chunks.push(chunk);
        moved.set(instance.sopInstanceUid, hashDataset(Buffer.concat(chunks)));
        originators.add(instance.moveOriginatorAeTitle);
        return 0;
      },
    },
  });
  const moved = new Map<string, string>();
  const originators = new Set<string | undefined>();
  let scp: DcmqrscpServer;

  const query = (abstractSyntax: string) => ({ abstractSyntax, transferSyntaxes: [EXPLICIT, IMPLICIT] });

  beforeAll(async () => {
    const { port } = await mover.listen({ port: 0, host: '127.0.0.1' });
    scp = await startDcmqrscp({ moveDestinations: [{ aet: 'MOVER', port }] });
    const association = await open({
      port: scp.port,
      calledAeTitle: scp.aet,
      presentationContexts: contextsFor(study),
    });
    await Promise.all(study.map((instance) => association.store([instance.bytes])));
    await association.release();
  });
  afterAll(async () => {
    await scp.stop();
    await mover.close();
  });

  it('rejects an unknown called AE title', async () => {
    await expect(open({ port: scp.port, presentationContexts: [VERIFICATION] })).rejects.toMatchObject({
      code: 'association-rejected',
      rejection: { reason: 'called-ae-title-not-recognized' },
    });
  });

  it('finds', async () => {
    await using association = await open({
      port: scp.port,
      calledAeTitle: scp.aet,
      presentationContexts: [query(UID.studyRootFind)],
    });
    const request = {
      sopClassUid: UID.studyRootFind,
      query: {
        QueryRetrieveLevel: 'IMAGE',
        StudyInstanceUID: first.studyInstanceUid,
        SeriesInstanceUID: first.seriesInstanceUid,
        SOPInstanceUID: '',
        InstanceNumber: '',
      },
    };
    const found: unknown[] = [];
    for await (const match of findDataSets(association, request)) found.push(match['SOPInstanceUID']);
    expect(found.sort()).toEqual(study.map((instance) => instance.sopInstanceUid).sort());

    // Leaving the loop cancels the operation; the association continues.
    for await (const match of findDataSets(association, request)) {
      expect(match['QueryRetrieveLevel']).toBe('IMAGE');
      break;
    }
    const cancel = new AbortController();
    const cancelled = (async () => {
      for await (const match of findDataSets(association, { ...request, signal: cancel.signal })) {
        expect(match).toBeDefined();
        cancel.abort();
      }
    })();
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
    const none = findDataSets(association, {
      ...request,
      query: { ...request.query, StudyInstanceUID: '2.25.404' },
    });
    expect(await none.next()).toMatchObject({ done: true, value: { status: 0, class: 'success' } });
  });

  it('sends by C-GET on the same association', async () => {
    const got = new Map<string, string>();
    const progress: number[] = [];
    await using association = await open({
      port: scp.port,
      calledAeTitle: scp.aet,
      presentationContexts: [query(UID.studyRootGet), ...contextsFor(study)],
      roles: [{ sopClassUid: first.sopClassUid, scu: false, scp: true }],
      handlers: {
        async store(instance) {
          const chunks: Buffer[] = [];
          for await (const chunk of instance.part10()) chunks.push(chunk);
          got.set(instance.sopInstanceUid, hashDataset(Buffer.concat(chunks)));
          return 0;
        },
      },
    });
    const result = await association.get({
      sopClassUid: UID.studyRootGet,
      identifier: dataSet({ QueryRetrieveLevel: 'STUDY', StudyInstanceUID: first.studyInstanceUid }),
      onProgress: ({ completed }) => void progress.push(completed ?? -1),
    });
    expect(result).toMatchObject({ status: 0, class: 'success', completed: study.length, failed: 0 });
    expect(progress.length).toBeGreaterThan(1);
    expect(got.size).toBe(study.length);
    for (const instance of study) expect(got.get(instance.sopInstanceUid)).toBe(hashDataset(instance.bytes));
  });

  it('sends by C-MOVE to our server', async () => {
    await using association = await open({
      port: scp.port,
      calledAeTitle: scp.aet,
      presentationContexts: [query(UID.studyRootMove)],
    });
    const identifier = dataSet({ QueryRetrieveLevel: 'STUDY', StudyInstanceUID: first.studyInstanceUid });
    const result = await association.move({ sopClassUid: UID.studyRootMove, destinationAeTitle: 'MOVER', identifier });
    expect(result).toMatchObject({ status: 0, completed: study.length, failed: 0, warning: 0 });
    for (const instance of study) expect(moved.get(instance.sopInstanceUid)).toBe(hashDataset(instance.bytes));
    expect([...originators]).toEqual(['DIMSE_SCU']);
    expect(
      await association.move({ sopClassUid: UID.studyRootMove, destinationAeTitle: 'NOWHERE', identifier }),
    ).toMatchObject({ status: 0xa801, class: 'failure' });
  });

  it('stops a C-GET that is cancelled', async () => {
    const cancel = new AbortController();
    let count = 0;
    await using association = await open({
      port: scp.port,
      calledAeTitle: scp.aet,
      presentationContexts: [query(UID.studyRootGet), ...contextsFor(study)],
      roles: [{ sopClassUid: first.sopClassUid, scu: false, scp: true }],
      handlers: {
        store() {
          count += 1;
          cancel.abort();
          return 0;
        },
      },
    });
    await expect(
      association.get({
        sopClassUid: UID.studyRootGet,
        identifier: dataSet({ QueryRetrieveLevel: 'STUDY', StudyInstanceUID: first.studyInstanceUid }),
        signal: cancel.signal,
      }),
    ).rejects.toMatchObject({ code: 'cancelled' });
    expect(count).toBeGreaterThan(0);
  });
});
