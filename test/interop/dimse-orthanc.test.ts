import { createHash } from 'node:crypto';
import { freePort, hashDataset, makeCertificates, startOrthanc } from '@dicom-dispatch/harness';
import type { OrthancServer } from '@dicom-dispatch/harness';
import { TRANSFER_SYNTAX, UID, connect, createServer } from 'dicom-dimse';
import type { DimseServer, IncomingHandlers } from 'dicom-dimse';
import {
  dataSet,
  findDataSets,
  readCommitmentReport,
  readCommitmentRequest,
  reportStorageCommitment,
  requestStorageCommitment,
} from 'dicom-dimse/dataset';
import type { CommitmentReport, CommitmentRequest } from 'dicom-dimse/dataset';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VERIFICATION, contextsFor, open, sampleStudy } from './dimse-fixtures.ts';

const EXPLICIT = [TRANSFER_SYNTAX.explicitVrLittleEndian];
const COMMITMENT = {
  abstractSyntax: UID.storageCommitmentPushModel,
  transferSyntaxes: [TRANSFER_SYNTAX.implicitVrLittleEndian],
};

describe('Orthanc', () => {
  const study = sampleStudy({ seed: 'orthanc', instancesPerSeries: 4 });
  const [first] = study as [(typeof study)[0]];
  const references = study.map(({ sopClassUid, sopInstanceUid }) => ({ sopClassUid, sopInstanceUid }));
  const received = new Map<string, string>();
  let handlers: IncomingHandlers = {};
  let orthanc: OrthancServer;
  let server: DimseServer;

  beforeAll(async () => {
    server = createServer({
      aeTitle: 'OURS',
      presentationContexts: ({ abstractSyntax, transferSyntaxes }) =>
        abstractSyntax === UID.storageCommitmentPushModel
          ? transferSyntaxes[0]
          : EXPLICIT.find((syntax) => transferSyntaxes.includes(syntax)),
      handlers: {
        async store(instance) {
          const chunks: Buffer[] = [];
          for await (const chunk of instance.part10()) chunks.push(chunk);
          received.set(instance.sopInstanceUid, hashDataset(Buffer.concat(chunks)));
          return 0;
        },
        action: (request) => handlers.action?.(request) ?? { status: 0x0211 },
        eventReport: (request) => handlers.eventReport?.(request) ?? { status: 0x0211 },
      },
    });
    const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
    orthanc = await startOrthanc({ modalities: { ours: ['OURS', '127.0.0.1', port] } });
  });
  afterAll(async () => {
    await orthanc.stop();
    await server.close();
  });

  it('as SCP answers echo, store, find, get and move', async () => {
    const root = (abstractSyntax: string) => ({ abstractSyntax, transferSyntaxes: EXPLICIT });
    await using association = await open({
      port: orthanc.dicomPort,
      callingAeTitle: 'OURS',
      calledAeTitle: orthanc.aet,
      presentationContexts: [VERIFICATION, ...contextsFor(study), root(UID.studyRootFind), root(UID.studyRootMove)],
    });
    expect(await association.echo()).toMatchObject({ status: 0 });
    const stored = await Promise.all(study.map((instance) => association.store([instance.bytes])));
    expect(stored.map((result) => result.class)).toEqual(study.map(() => 'success'));
    expect(await orthanc.sopInstanceUids()).toEqual(study.map((instance) => instance.sopInstanceUid).sort());
    const [id] = (await orthanc.get('/instances')) as string[];
    const file = await orthanc.getBytes(`/instances/${id}/file`);
    expect(study.map((instance) => hashDataset(instance.bytes))).toContain(hashDataset(file));

    const found: unknown[] = [];
    const query = { QueryRetrieveLevel: 'STUDY', StudyInstanceUID: '', PatientID: '' };
    for await (const match of findDataSets(association, { sopClassUid: UID.studyRootFind, query })) found.push(match);
    expect(found).toMatchObject([{ StudyInstanceUID: first.studyInstanceUid }]);

    received.clear();
    const moved = await association.move({
      sopClassUid: UID.studyRootMove,
      destinationAeTitle: 'OURS',
      identifier: dataSet({ QueryRetrieveLevel: 'STUDY', StudyInstanceUID: first.studyInstanceUid }),
    });
    expect(moved).toMatchObject({ class: 'success' });
    for (const instance of study) expect(received.get(instance.sopInstanceUid)).toBe(hashDataset(instance.bytes));

    const got = new Set<string>();
    await using getter = await open({
      port: orthanc.dicomPort,
      callingAeTitle: 'OURS',
      calledAeTitle: orthanc.aet,
      presentationContexts: [root(UID.studyRootGet), ...contextsFor(study)],
      roles: [{ sopClassUid: first.sopClassUid, scu: false, scp: true }],
      handlers: {
        store(instance) {
          got.add(instance.sopInstanceUid);
          return 0;
        },
      },
    });
    const result = await getter.get({
      sopClassUid: UID.studyRootGet,
      identifier: dataSet({ QueryRetrieveLevel: 'STUDY', StudyInstanceUID: first.studyInstanceUid }),
    });
    expect(result).toMatchObject({ class: 'success', completed: study.length });
    expect(got.size).toBe(study.length);
  });

  it('as SCU sends to our server, and is answered a failure', async () => {
    received.clear();
    const [id] = await orthanc.studies();
    expect(await orthanc.send('POST', '/modalities/ours/echo', {})).toEqual({});
    await orthanc.send('POST', '/modalities/ours/store', { Resources: [id], Synchronous: true });
    expect(received.size).toBe(study.length);
    for (const instance of study) expect(received.get(instance.sopInstanceUid)).toBe(hashDataset(instance.bytes));
  });

  it('as SCP commits what it has, and reports on a later association', async () => {
    const reports: CommitmentReport[] = [];
    const reported = Promise.withResolvers<void>();
    handlers = {
      async eventReport(request) {
        reports.push(await readCommitmentReport(request));
        if (reports.length === 2) reported.resolve();
        return { status: 0 };
      },
    };
    await using association = await open({
      port: orthanc.dicomPort,
      callingAeTitle: 'OURS',
      calledAeTitle: orthanc.aet,
      presentationContexts: [COMMITMENT],
    });
    const absent = { sopClassUid: first.sopClassUid, sopInstanceUid: '2.25.404' };
    expect(await requestStorageCommitment(association, { transactionUid: '2.25.1', references })).toMatchObject({
      status: 0,
    });
    await requestStorageCommitment(association, { transactionUid: '2.25.2', references: [...references, absent] });
    await reported.promise;
    const byUid = new Map(reports.map((report) => [report.transactionUid, report]));
    expect(byUid.get('2.25.1')).toMatchObject({ failed: [] });
    expect(byUid.get('2.25.1')?.committed).toHaveLength(study.length);
    expect(byUid.get('2.25.2')).toMatchObject({
      failed: [{ ...absent, reason: 0x0112, text: 'No such object instance' }],
    });
    handlers = {};
  });

  it('as SCU requests commitment, and accepts our report on a later association', async () => {
    const asked = Promise.withResolvers<CommitmentRequest>();
    handlers = {
      async action(request) {
        asked.resolve(await readCommitmentRequest(request));
        return { status: 0 };
      },
    };
    const answer = (await orthanc.send('POST', '/modalities/ours/storage-commitment', {
      DicomInstances: references.map(({ sopClassUid, sopInstanceUid }) => ({
        SOPClassUID: sopClassUid,
        SOPInstanceUID: sopInstanceUid,
      })),
    })) as { ID: string };
    const request = await asked.promise;
    expect(request.references).toHaveLength(study.length);
    const [failing, ...committed] = request.references as [CommitmentRequest['references'][0]];
    await using association = await open({
      port: orthanc.dicomPort,
      callingAeTitle: 'OURS',
      calledAeTitle: orthanc.aet,
      presentationContexts: [COMMITMENT],
      roles: [{ sopClassUid: UID.storageCommitmentPushModel, scu: false, scp: true }],
    });
    const reported = await reportStorageCommitment(association, {
      transactionUid: request.transactionUid,
      committed,
      failed: [{ ...failing, reason: 0x0213 }],
    });
    expect(reported).toMatchObject({ status: 0 });
    const state = (await orthanc.get(`/storage-commitment/${answer.ID}`)) as Record<string, unknown>;
    expect(state).toMatchObject({ Status: 'Failure' });
    expect(state['Success']).toHaveLength(study.length - 1);
    expect(state['Failures']).toMatchObject([{ SOPInstanceUID: failing.sopInstanceUid }]);
    handlers = {};
  });
});

describe('Orthanc with DICOM TLS', () => {
  it('accepts our certificate, and sends to our TLS server with its own', async () => {
    const certificates = await makeCertificates();
    const study = sampleStudy({ seed: 'orthanc-tls' });
    const identity = { ca: certificates.ca.cert };
    const hashes = new Set<string>();
    const server = createServer({
      presentationContexts: ({ transferSyntaxes }) => EXPLICIT.find((syntax) => transferSyntaxes.includes(syntax)),
      tls: { ...identity, cert: certificates.server.cert, key: certificates.server.key, requestCert: false },
      handlers: {
        async store(instance) {
          const hash = createHash('sha256');
          for await (const chunk of instance.dataSet) hash.update(chunk);
          hashes.add(hash.digest('hex'));
          return 0;
        },
      },
    });
    const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
    await using orthanc = await startOrthanc({
      dicomTls: { ...identity, cert: certificates.server.cert, key: certificates.server.key },
      modalities: { ours: { AET: 'OURS', Host: 'localhost', Port: port, UseDicomTls: true } },
    });
    const association = await connect({
      host: '127.0.0.1',
      port: orthanc.dicomPort,
      callingAeTitle: 'OURS',
      calledAeTitle: orthanc.aet,
      presentationContexts: contextsFor(study),
      tls: { ...identity, cert: certificates.client.cert, key: certificates.client.key },
    });
    const results = await Promise.all(study.map((instance) => association.store([instance.bytes])));
    expect(results.map((result) => result.status)).toEqual(study.map(() => 0));
    await association.release();
    const [id] = await orthanc.studies();
    await orthanc.send('POST', '/modalities/ours/store', { Resources: [id], Synchronous: true });
    expect([...hashes].sort()).toEqual(study.map((instance) => hashDataset(instance.bytes)).sort());
    await expect(
      connect({
        host: '127.0.0.1',
        port: orthanc.dicomPort,
        callingAeTitle: 'OURS',
        calledAeTitle: orthanc.aet,
        presentationContexts: [VERIFICATION],
        tls: identity,
      }),
    ).rejects.toMatchObject({ code: 'tls-client-certificate-required' });
    await server.close();
  });

  it('is not there: nothing listens', async () => {
    await expect(open({ port: await freePort(), presentationContexts: [VERIFICATION] })).rejects.toMatchObject({
      code: 'connect-refused',
    });
  });
});
