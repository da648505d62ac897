import { createServer as createTcpServer, connect as connectTcp, type AddressInfo } from 'node:net';
import { caseFile, startDcmqrscp, startOrthanc } from '@dicom-dispatch/harness';
import { makeStudy, type SampleInstance, type SampleStudy } from '@dicom-dispatch/samples';
import { createServer, TRANSFER_SYNTAX, UID, type ServerOptions } from 'dicom-dimse';
import { dataSet, decodeDataSet, type DataSet } from 'dicom-dimse/dataset';
import { describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { fixtureStudy, part10Facts } from '../contract-suite/index.ts';
import type { FindQuery, FoundStudy, RetrieveProgress } from '@dicom-dispatch/target-kit';
import { dicomHandler } from './handler.ts';
import { dicomTarget, type DicomTarget } from './schema.ts';

const signal = new AbortController().signal;
const small = { rows: 8, columns: 8 } as const;
const allowed = { DicomAlwaysAllowFind: true, DicomAlwaysAllowGet: true };

const targetAt = (port: number, more: Record<string, unknown> = {}): DicomTarget =>
  dicomTarget.parse({ type: 'dicom', host: '127.0.0.1', port, calledAeTitle: 'ARCHIVE', ...more });

async function pull(
  config: DicomTarget,
  studyInstanceUid: string,
  came = new Set<string>(),
): Promise<RetrieveProgress & { came: Set<string> }> {
  const result = await dicomHandler.pull!.retrieve(
    {
      studyInstanceUid,
      has: (uid) => came.has(uid),
      async store(uid, { body }) {
        expect((await part10Facts(body)).sopInstanceUid).toBe(uid);
        came.add(uid);
      },
      progress: () => {},
    },
    { config, targetName: 'pacs', signal },
  );
  return { ...result, came };
}

async function find(config: DicomTarget, query: FindQuery): Promise<{ studies: FoundStudy[]; error: unknown }> {
  const studies: FoundStudy[] = [];
  try {
    for await (const study of dicomHandler.pull!.find(query, { config, targetName: 'pacs', signal }))
      studies.push(study);
    return { studies, error: undefined };
  } catch (error) {
    return { studies, error };
  }
}

interface ArchiveOptions {
  /** Maximum number of results of a query. Further ones are omitted, with status FE00H or silently. */
  readonly limit?: number;
  readonly isSilent?: boolean;
  /** Whether it returns the number of instances, and the class of each. */
  readonly counts?: boolean;
  readonly classes?: boolean;
  /** Whether it can be queried by Series Number and Instance Number. */
  readonly numbers?: boolean;
  /** SOP Instance UID of an instance that the archive counts but does not have. */
  readonly lacks?: string;
  /** The data that it sends for an instance. Default: its file. */
  readonly answers?: (one: SampleInstance) => readonly Buffer[];
  /** A search for images that requests their SOP classes fails. */
  readonly failsClasses?: boolean;
  readonly server?: Partial<ServerOptions>;
}

/** An archive that responds as a test defines, and the levels of its retrieval requests. */
async function archiveOf(study: SampleStudy, options: ArchiveOptions = {}) {
  const { limit = Number.POSITIVE_INFINITY, isSilent = false, counts = true, classes = true, numbers = true } = options;
  const instances = [...study];
  const sent: string[] = [];
  const of = (query: DataSet) => (one: SampleInstance) =>
    (one.sopInstanceUid !== options.lacks || query['QueryRetrieveLevel'] === 'SERIES') &&
    (!query['SeriesInstanceUID'] || one.seriesInstanceUid === query['SeriesInstanceUID']) &&
    (!query['SOPInstanceUID'] || [query['SOPInstanceUID']].flat().includes(one.sopInstanceUid));
  function matches(query: DataSet): DataSet[] {
    const all = instances.filter(of(query));
    const series = [...Map.groupBy(all, (one) => one.seriesInstanceUid)];
    switch (query['QueryRetrieveLevel']) {
      case 'STUDY':
        return [
          {
            StudyInstanceUID: study.studyInstanceUid,
            ...(counts && {
              NumberOfStudyRelatedSeries: series.length,
              NumberOfStudyRelatedInstances: instances.length,
            }),
          },
        ];
      case 'SERIES':
        return series.map(([uid, some]) => ({
          SeriesInstanceUID: uid,
          SeriesNumber: String(some[0]?.seriesNumber),
          Modality: some[0]?.modality,
          ...(counts && { NumberOfSeriesRelatedInstances: some.length }),
        }));
      default:
        return all.map((one, index) => ({
          SOPInstanceUID: one.sopInstanceUid,
          InstanceNumber: String(index + 1),
          ...(classes && { SOPClassUID: one.sopClassUid }),
        }));
    }
  }
  const server = createServer({
    presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
    handlers: {
      async *find({ identifier }) {
        const query = await decodeDataSet(identifier);
        if (options.failsClasses && 'SOPClassUID' in query) throw new Error('a file is missing');
        const number = query['InstanceNumber'] || query['SeriesNumber'];
        const found = matches(query).filter(
          (one) => !number || !numbers || Number(one['InstanceNumber'] ?? one['SeriesNumber']) === Number(number),
        );
        for (const one of found.slice(0, limit)) yield dataSet(one);
        if (found.length > limit && !isSilent) cut.add(query['QueryRetrieveLevel']);
      },
      async get({ identifier }) {
        const query = await decodeDataSet(identifier);
        sent.push(String(query['QueryRetrieveLevel']));
        const wanted = instances.filter(of(query)).filter((one) => one.sopInstanceUid !== options.lacks);
        return {
          count: wanted.length,
          instances: wanted.flatMap((one) => (options.answers?.(one) ?? [one.bytes]).map((bytes) => [bytes])),
        };
      },
    },
    ...options.server,
  });
  const cut = new Set<unknown>();
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
  // Our server cannot end a list with FE00H without a cancel request: the final status is changed in transit.
  const proxy = limit === Number.POSITIVE_INFINITY || isSilent ? undefined : await cutting(port, () => cut.size > 0);
  return {
    sent,
    port: proxy?.port ?? port,
    async [Symbol.asyncDispose]() {
      await proxy?.close();
      await server.close();
    },
  };
}

interface Proxy {
  readonly port: number;
  close(): Promise<void>;
}

/** Forwards bytes; data from the server pass through `change`. */
async function proxyTo(port: number, change: (bytes: Buffer) => Buffer): Promise<Proxy> {
  const server = createTcpServer((client) => {
    const upstream = connectTcp(port, '127.0.0.1');
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.pipe(upstream);
    upstream.on('data', (chunk: Buffer) => client.write(change(chunk)));
    upstream.on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** A proxy that changes status 0000H of a C-FIND-RSP to FE00H. */
function cutting(port: number, isCut: () => boolean): Promise<Proxy> {
  const success = Buffer.from('000000090200000000 00'.replaceAll(' ', ''), 'hex');
  const commandField = Buffer.from('00000001020000002080', 'hex');
  return proxyTo(port, (bytes) => {
    if (!isCut() || !bytes.includes(commandField)) return bytes;
    const changed = Buffer.from(bytes);
    for (let at = changed.indexOf(success); at !== -1; at = changed.indexOf(success, at + 1))
      changed.writeUInt16LE(0xfe00, at + 8);
    return changed;
  });
}

/** Removes the role selection items (54H) from an A-ASSOCIATE-AC. */
function withoutRoles(bytes: Buffer): Buffer {
  if (bytes[0] !== 0x02) return bytes;
  const parts = [bytes.subarray(0, 74)];
  for (let at = 74; at < bytes.length;) {
    const end = at + 4 + bytes.readUInt16BE(at + 2);
    if (bytes[at] !== 0x50) {
      parts.push(bytes.subarray(at, end));
      at = end;
      continue;
    }
    const kept: Buffer[] = [];
    for (let item = at + 4; item < end;) {
      const itemEnd = item + 4 + bytes.readUInt16BE(item + 2);
      if (bytes[item] !== 0x54) kept.push(bytes.subarray(item, itemEnd));
      item = itemEnd;
    }
    const head = Buffer.from(bytes.subarray(at, at + 4));
    head.writeUInt16BE(
      kept.reduce((sum, { length }) => sum + length, 0),
      2,
    );
    parts.push(head, ...kept);
    at = end;
  }
  const whole = Buffer.concat(parts);
  whole.writeUInt32BE(whole.length - 6, 2);
  return whole;
}

describe('an Orthanc that limits its answers', () => {
  it('is pulled from all the same, and found to have all by verify: find', async () => {
    await using orthanc = await startOrthanc({
      extraConfig: { ...allowed, LimitFindInstances: 5, LimitFindResults: 2 },
    });
    const config = targetAt(orthanc.dicomPort, { calledAeTitle: orthanc.aet, verify: 'find', verifyTimeout: 0 });
    const study = fixtureStudy({ seed: 'limited', series: 3, instancesPerSeries: 12, ...small });
    const delivery = new TestDelivery(dicomHandler, study);
    const { error } = await delivery.attempt(config);
    expect(error).toBeUndefined();
    expect(delivery.pending).toEqual([]);

    const { came, ...result } = await pull(config, study.tags.studyInstanceUid);
    expect(result).toEqual({ completed: 36, failed: 0, remaining: 0 });
    expect([...came].sort()).toEqual(study.instances.map(({ manifest }) => manifest.sopInstanceUid).sort());

    for (const seed of ['a', 'b', 'c']) {
      for (const { bytes } of makeStudy({ seed, instancesPerSeries: 1, series: 1, ...small }))
        await orthanc.upload(bytes);
    }
    const all = await find(config, {});
    expect(all.error).toMatchObject({
      code: 'target-error',
      message: expect.stringMatching(/^the response is incomplete, 2 studies were received: .*FE00H/),
      remedy: expect.stringContaining('LimitFindResults'),
    });
    expect(all.studies.length).toBe(2);
    const one = await find(config, { studyInstanceUid: study.tags.studyInstanceUid });
    expect(one.error).toBeUndefined();
    expect(one.studies[0]?.series.length).toBe(3);
  });
});

describe('an archive that cuts its lists', () => {
  const study = makeStudy({ seed: 'cut', series: 2, instancesPerSeries: 6, ...small });

  it.each([false, true])('is queried by number for missing matches (silently cut: %s)', async (isSilent) => {
    await using archive = await archiveOf(study, { limit: 4, isSilent });
    const { came, ...result } = await pull(targetAt(archive.port), study.studyInstanceUid);
    expect(result).toEqual({ completed: 12, failed: 0, remaining: 0 });
    expect(came.size).toBe(12);
  });

  it('and cannot be queried by number is asked for complete series, and unlisted instances are stored', async () => {
    await using archive = await archiveOf(study, { limit: 4, isSilent: true, numbers: false });
    const { came, ...result } = await pull(targetAt(archive.port), study.studyInstanceUid);
    expect(result).toEqual({ completed: 12, failed: 0, remaining: 0 });
    expect(archive.sent).toEqual(['SERIES', 'SERIES']);
    // An existing instance is not reported as missing when it arrives again.
    const again = await pull(targetAt(archive.port), study.studyInstanceUid, came);
    expect(again).toMatchObject({ completed: 12, failed: 0 });
  });

  it('and lacks some of the instances that it counts gives an incomplete result, and reports this', async () => {
    await using archive = await archiveOf(study, { lacks: [...study][3]!.sopInstanceUid });
    const { came, ...result } = await pull(targetAt(archive.port), study.studyInstanceUid);
    expect(came.size).toBe(11);
    expect(result).toEqual({
      completed: 11,
      failed: 1,
      remaining: 0,
      problems: [{ reason: 'an instance that the receiver counts, but does not list or send' }],
    });
  });

  it('and does not report counts never gives an incomplete result as complete', async () => {
    await using archive = await archiveOf(study, { limit: 4, counts: false });
    const { came, ...result } = await pull(targetAt(archive.port), study.studyInstanceUid);
    // All instances that arrived with its series were stored, but whether they are complete is unknown.
    expect(came.size).toBe(12);
    expect(result.failed).toBe(1);
    expect(result.problems).toEqual([
      { reason: 'the receiver ended its list early, and does not report the number of instances' },
    ]);
  });

  it('down to nothing: no confirmation is removed, and the delivery reports what it waits for', async () => {
    const delivered = fixtureStudy({ seed: 'cut to nothing', series: 1, ...small });
    const instances = makeStudy({ seed: 'cut to nothing', series: 1, ...small });
    await using archive = await archiveOf(instances, {
      limit: 0,
      server: {},
    });
    await using store = await storing();
    const config = targetAt(store.port, { verify: 'find', verifyTimeout: 0, query: { port: archive.port } });
    const delivery = new TestDelivery(dicomHandler, delivered);
    const { error } = await delivery.attempt(config);
    expect(error).toMatchObject({
      code: 'verify-pending',
      message: 'the receiver truncates its responses, and does not report whether it has 3 of 3 instances',
    });
    expect(delivery.pending).toEqual([]);
  });

  it('to some: unlisted instances are queried individually', async () => {
    const delivered = fixtureStudy({ seed: 'cut to some', series: 1, instancesPerSeries: 8, ...small });
    const instances = makeStudy({ seed: 'cut to some', series: 1, instancesPerSeries: 8, ...small });
    await using archive = await archiveOf(instances, { limit: 3, isSilent: true });
    await using store = await storing();
    const config = targetAt(store.port, { verify: 'find', verifyTimeout: 0, query: { port: archive.port } });
    const delivery = new TestDelivery(dicomHandler, delivered);
    expect((await delivery.attempt(config)).error).toBeUndefined();
  });
});

describe('an archive that has a SOP Instance UID twice', () => {
  const study = makeStudy({ seed: 'twice', series: 2, instancesPerSeries: 2, ...small });
  const [first, second] = [...study];
  const replaced = (one: SampleInstance, from: string, to: string): Buffer =>
    Buffer.from(one.bytes.toString('latin1').replaceAll(from, to), 'latin1');
  const otherStudy = `${study.studyInstanceUid.slice(0, -1)}${study.studyInstanceUid.endsWith('1') ? 2 : 1}`;

  it('and sends that of another study: it is rejected and named', async () => {
    await using archive = await archiveOf(study, {
      answers: (one) => [
        one.sopInstanceUid === first!.sopInstanceUid ? replaced(one, study.studyInstanceUid, otherStudy) : one.bytes,
      ],
    });
    const { came, ...result } = await pull(targetAt(archive.port), study.studyInstanceUid);
    expect(came.has(first!.sopInstanceUid)).toBe(false);
    expect(result).toEqual({
      completed: 3,
      failed: 1,
      remaining: 0,
      problems: [
        {
          sopInstanceUid: first!.sopInstanceUid,
          reason: 'the receiver sent an instance of another study under its SOP Instance UID',
        },
      ],
    });
  });

  it('in two series of the study: both come, each with its series', async () => {
    const shared = { ...second!, seriesInstanceUid: '2.25.77', seriesNumber: 9 };
    const bytes = replaced(
      second!,
      second!.seriesInstanceUid,
      '2.25.77'.padEnd(second!.seriesInstanceUid.length, '\0'),
    );
    const all = {
      studyInstanceUid: study.studyInstanceUid,
      [Symbol.iterator]: () => [first!, second!, { ...shared, bytes }].values(),
    };
    await using archive = await archiveOf(all as never);
    const stored: (string | undefined)[] = [];
    const result = await dicomHandler.pull!.retrieve(
      {
        studyInstanceUid: study.studyInstanceUid,
        has: () => false,
        async store(uid, { body }, series) {
          await Array.fromAsync(body);
          if (uid === second!.sopInstanceUid) stored.push(series);
        },
        progress: () => {},
      },
      { config: targetAt(archive.port), targetName: 'pacs', signal },
    );
    expect(result).toEqual({ completed: 3, failed: 0, remaining: 0 });
    expect(stored.sort()).toEqual([second!.seriesInstanceUid, '2.25.77'].sort());
  });

  it('of two patients: one is stored, and the other is reported', async () => {
    const patient = Buffer.from(study.patientId, 'latin1');
    await using archive = await archiveOf(study, {
      answers: (one) =>
        one.sopInstanceUid === first!.sopInstanceUid
          ? [one.bytes, replaced(one, study.patientId, 'X'.repeat(patient.length))]
          : [one.bytes],
    });
    const { came, ...result } = await pull(targetAt(archive.port), study.studyInstanceUid);
    expect(came.size).toBe(4);
    expect(result).toMatchObject({ completed: 4, failed: 1, remaining: 0 });
    expect(result.problems?.[0]?.reason).toContain('another patient with the same UIDs');
  });
});

describe('an archive that gives little away', () => {
  it('no SOP classes: compressed instances come by what the modality suggests', async () => {
    const study = makeStudy({ seed: 'classless', series: 2, modality: 'CT', transferSyntax: 'rle', ...small });
    const syntaxes = new Set<string>();
    await using archive = await archiveOf(study, { classes: false });
    const config = targetAt(archive.port);
    const came = new Set<string>();
    const result = await dicomHandler.pull!.retrieve(
      {
        studyInstanceUid: study.studyInstanceUid,
        has: () => false,
        async store(uid, { body }) {
          const bytes = Buffer.concat(await Array.fromAsync(body));
          if (bytes.includes(`${TRANSFER_SYNTAX.rleLossless}\0`)) syntaxes.add('rle');
          came.add(uid);
        },
        progress: () => {},
      },
      { config, targetName: 'pacs', signal },
    );
    expect(result).toMatchObject({ completed: [...study].length, failed: 0 });
    expect([...syntaxes]).toEqual(['rle']);
  });

  it('SOP classes that it cannot read: it is asked without them', async () => {
    const study = makeStudy({ seed: 'unreadable classes', series: 1, ...small });
    await using archive = await archiveOf(study, { failsClasses: true });
    const result = await pull(targetAt(archive.port), study.studyInstanceUid);
    expect(result).toMatchObject({ completed: [...study].length, failed: 0 });
  });

  it('no response to role selection, but instances: they are stored', async () => {
    const study = makeStudy({ seed: 'roleless', series: 1, ...small });
    await using archive = await archiveOf(study);
    const proxy = await proxyTo(archive.port, withoutRoles);
    const result = await pull(targetAt(proxy.port), study.studyInstanceUid);
    expect(result).toMatchObject({ completed: [...study].length, failed: 0 });
    await proxy.close();
  });

  it('no response to role selection, and a first series that does not arrive: the others are stored', async () => {
    const study = makeStudy({ seed: 'roleless in part', series: 2, ...small });
    const instances = [...study];
    const offline = instances[0]?.seriesInstanceUid;
    const isOffline = (one: SampleInstance): boolean => one.seriesInstanceUid === offline;
    await using archive = await archiveOf(study, { answers: (one) => (isOffline(one) ? [] : [one.bytes]) });
    const proxy = await proxyTo(archive.port, withoutRoles);
    const result = await pull(targetAt(proxy.port), study.studyInstanceUid);
    const failed = instances.filter(isOffline).length;
    expect(result).toMatchObject({ completed: instances.length - failed, failed });
    await proxy.close();
  });

  it('no answer to role selection, and nothing else: C-MOVE is what remains', async () => {
    const study = makeStudy({ seed: 'roleless and silent', series: 1, ...small });
    await using archive = await archiveOf(study, {
      server: {
        presentationContexts: ({ abstractSyntax, transferSyntaxes }) =>
          abstractSyntax.startsWith('1.2.840.10008.5.1.4.1.2') ? transferSyntaxes[0] : undefined,
      },
    });
    const proxy = await proxyTo(archive.port, withoutRoles);
    await expect(pull(targetAt(proxy.port), study.studyInstanceUid)).rejects.toMatchObject({
      code: 'target-misconfigured',
      remedy: expect.stringContaining('retrieve: move'),
    });
    await proxy.close();
  });
});

describe('one odd instance', () => {
  it.each(['Orthanc', 'dcmqrscp'] as const)('in a study at %s is named, the rest is pulled', async (kind) => {
    const files = [await caseFile('pull-good.dcm'), await caseFile('pull-odd.dcm')];
    let archive: AsyncDisposable & { port: number; aet: string };
    if (kind === 'Orthanc') {
      const orthanc = await startOrthanc({ extraConfig: allowed });
      for (const file of files) await orthanc.upload(file);
      archive = { port: orthanc.dicomPort, aet: orthanc.aet, [Symbol.asyncDispose]: () => orthanc.stop() };
    } else {
      const qr = await startDcmqrscp();
      archive = { port: qr.port, aet: qr.aet, [Symbol.asyncDispose]: () => qr.stop() };
      const like = fixtureStudy({ series: 1, instancesPerSeries: 1 });
      const instances = files.map((bytes, index) => ({
        ...like.instances[0]!,
        manifest: {
          ...like.instances[0]!.manifest,
          sopInstanceUid: index === 0 ? '2.25.9030.1.1' : '2.25.9030.1.x',
          sopClassUid: '1.2.840.10008.5.1.4.1.1.4',
          transferSyntaxUid: TRANSFER_SYNTAX.explicitVrLittleEndian,
          sourceId: String(index),
        },
        read: () => [bytes],
      }));
      await new TestDelivery(dicomHandler, { ...like, instances }).attempt(
        targetAt(archive.port, { calledAeTitle: archive.aet, maxParallel: 1 }),
      );
    }
    await using _archive = archive;
    const { came, ...result } = await pull(targetAt(archive.port, { calledAeTitle: archive.aet }), '2.25.9030');
    expect([...came]).toEqual(['2.25.9030.1.1']);
    expect(result).toEqual({
      completed: 1,
      failed: 1,
      remaining: 0,
      problems: [{ sopInstanceUid: '2.25.9030.1.x', reason: 'its SOP Instance UID is malformed' }],
    });
  });

  it('with texts in ISO 2022 is read, with any other values', async () => {
    const qr = await startDcmqrscp();
    const like = fixtureStudy({ series: 1, instancesPerSeries: 1 });
    const instances = await Promise.all(
      ['tiny-iso2022.dcm', 'tiny-good.dcm'].map(async (name, index) => {
        const bytes = await caseFile(name);
        return {
          ...like.instances[0]!,
          manifest: {
            ...like.instances[0]!.manifest,
            sopInstanceUid: index === 0 ? '2.25.9020.1.1' : '2.25.7002.1.1',
            sopClassUid: '1.2.840.10008.5.1.4.1.1.4',
            transferSyntaxUid: TRANSFER_SYNTAX.explicitVrLittleEndian,
            sourceId: name,
          },
          read: () => [bytes],
        };
      }),
    );
    const config = targetAt(qr.port, { calledAeTitle: qr.aet, maxParallel: 1 });
    expect((await new TestDelivery(dicomHandler, { ...like, instances }).attempt(config)).error).toBeUndefined();
    const { studies, error } = await find(config, {});
    expect(error).toBeUndefined();
    expect(studies.map(({ tags }) => tags['PatientName']).sort()).toEqual([
      'Tiny^Own',
      'Yamada^Tarou=山田^太郎=やまだ^たろう',
    ]);
    await qr.stop();
  });

  it.each(['ISO-8859-1', 'UTF8', 'ISO_IR 999'])('in character set %s hides no other', async (set) => {
    const server = createServer({
      presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
      handlers: {
        async *find({ identifier }) {
          const { QueryRetrieveLevel } = await decodeDataSet(identifier);
          if (QueryRetrieveLevel !== 'STUDY') return;
          for (const [uid, one] of [
            ['1.2.1', undefined],
            ['1.2.2', set],
            ['1.2.3', undefined],
          ] as const) {
            const values = (transferSyntaxUid: string): Uint8Array => {
              const element = (tag: string, vr: string, text: string): Buffer => {
                const value = Buffer.from(text.length % 2 === 0 ? text : `${text} `, 'latin1');
                const head = Buffer.from(`${tag}00000000`, 'hex');
                if (transferSyntaxUid === TRANSFER_SYNTAX.implicitVrLittleEndian) head.writeUInt32LE(value.length, 4);
                else {
                  head.write(vr, 4, 'latin1');
                  head.writeUInt16LE(value.length, 6);
                }
                return Buffer.concat([head, value]);
              };
              return Buffer.concat([
                ...(one === undefined ? [] : [element('08000500', 'CS', one)]),
                element('10001000', 'PN', one === 'UTF8' ? 'J\xc3\xa9r' : 'J\xe9r'),
                element('20000d00', 'UI', uid.replace(/ $/, '\0')),
              ]);
            };
            yield values;
          }
        },
      },
    });
    const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
    const { studies, error } = await find(targetAt(port), {});
    expect(error).toBeUndefined();
    expect(studies.map((one) => one.studyInstanceUid)).toEqual(['1.2.1', '1.2.2', '1.2.3']);
    expect(studies[1]?.tags['PatientName']).toBe(set === 'ISO_IR 999' ? 'J\ufffdr' : 'Jér');
    await server.close();
  });
});

/** A receiver that keeps nothing: its instances are queried elsewhere. */
async function storing(): Promise<AsyncDisposable & { port: number }> {
  const server = createServer({
    presentationContexts: ({ abstractSyntax, transferSyntaxes }) =>
      abstractSyntax === UID.studyRootFind ? undefined : transferSyntaxes[0],
    handlers: {
      async store({ dataSet: bytes }) {
        for await (const _chunk of bytes);
        return 0;
      },
    },
  });
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
  return { port, [Symbol.asyncDispose]: () => server.close() };
}
