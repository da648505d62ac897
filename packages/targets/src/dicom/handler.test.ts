import { startOrthanc, startStorescp, type OrthancServer } from '@dicom-dispatch/harness';
import { createOrthancClient, type OrthancClient } from '@dicom-dispatch/orthanc';
import { createServer, toImplicitVr, TRANSFER_SYNTAX, type ServerOptions } from 'dicom-dimse';
import { Readable } from 'node:stream';
import { DispatchError } from '@dicom-dispatch/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { fixtureStudy, part10Facts, receivedFiles, type FixtureStudy } from '../contract-suite/index.ts';
import type { DeliveryRun } from '@dicom-dispatch/target-kit';
import { dicomHandler } from './handler.ts';
import { chooseEncoding, groupByContexts } from './presentation-contexts.ts';
import { dicomTarget, type DicomTarget } from './schema.ts';

const { implicitVrLittleEndian: implicit, explicitVrLittleEndian: explicit, rleLossless: rle } = TRANSFER_SYNTAX;

interface Receiver extends AsyncDisposable {
  readonly config: DicomTarget;
  /** SOP Instance UIDs in order of arrival, with their transfer syntaxes. */
  readonly stored: { readonly uid: string; readonly syntax: string }[];
  readonly peakAssociations: () => number;
}

type Answer = number | 'abort' | 'hang';

/** A receiver built on our own stack, which responds as a test defines. */
async function receiver(
  more: Record<string, unknown> = {},
  answer: (uid: string, count: number) => Answer = () => 0,
  options: Partial<ServerOptions> = {},
): Promise<Receiver> {
  const stored: { uid: string; syntax: string }[] = [];
  let max = 0;
  let count = 0;
  const server = createServer({
    presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
    onAssociation: () => {
      max = Math.max(max, server.associationCount);
    },
    handlers: {
      async store({ sopInstanceUid, transferSyntaxUid, dataSet, association }) {
        for await (const _chunk of dataSet);
        const given = answer(sopInstanceUid, count++);
        if (given === 'hang') return new Promise(() => {});
        if (given === 'abort') {
          association.abort();
          return 0;
        }
        if (given < 0x0100 || (given & 0xf000) === 0xb000)
          stored.push({ uid: sopInstanceUid, syntax: transferSyntaxUid });
        return given;
      },
    },
    ...options,
  });
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
  return {
    stored,
    peakAssociations: () => max,
    config: dicomTarget.parse({ type: 'dicom', host: '127.0.0.1', port, calledAeTitle: 'RECEIVER', ...more }),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

const uidsOf = (study: FixtureStudy): string[] => study.instances.map(({ manifest }) => manifest.sopInstanceUid);
const uidAt = (study: FixtureStudy, index: number): string => uidsOf(study)[index] ?? '';

describe('associations', () => {
  it('opens several if the receiver accepts them', async () => {
    await using scp = await receiver();
    const attempt = await new TestDelivery(dicomHandler, fixtureStudy({ instancesPerSeries: 8 })).attempt(scp.config);
    expect(attempt.error).toBeUndefined();
    expect(scp.peakAssociations()).toBe(3);
  });

  it('shares the one that it gets', async () => {
    await using scp = await receiver({}, undefined, { maxAssociations: 1 });
    const study = fixtureStudy({ seed: 'one association', instancesPerSeries: 8 });
    const attempt = await new TestDelivery(dicomHandler, study).attempt(scp.config);
    expect(attempt.error).toBeUndefined();
    expect(scp.peakAssociations()).toBe(1);
    expect(scp.stored.map(({ uid }) => uid).sort()).toEqual(uidsOf(study).sort());
  });

  it('does not wait for those that a receiver leaves hanging until the first has ended', async () => {
    await using scp = await startStorescp({ fork: false });
    const config = dicomTarget.parse({
      type: 'dicom',
      host: scp.host,
      port: scp.port,
      calledAeTitle: scp.aet,
      associationTimeout: '10m',
    });
    const study = fixtureStudy({ seed: 'hanging', instancesPerSeries: 8 });
    expect((await new TestDelivery(dicomHandler, study).attempt(config)).error).toBeUndefined();
    expect((await receivedFiles(scp.receivedFolder)).length).toBe(16);
  });
});

describe('what a receiver answers', () => {
  it.each([
    [0x0000, undefined],
    [0xb000, 'status B000H (Coercion of data elements)'],
    [0xb007, 'status B007H (Data set does not match SOP class)'],
    [0x0111, 'status 0111H (Duplicate SOP instance)'],
  ])('%i is delivered', async (status, warning) => {
    await using scp = await receiver({}, () => status);
    const { error, reported } = await new TestDelivery(dicomHandler, fixtureStudy({ series: 1 })).attempt(scp.config);
    expect(error).toBeUndefined();
    const expected = { kind: 'delivered', ...(warning !== undefined && { warning }) };
    expect([...reported.values()]).toMatchObject([expected, expected, expected]);
  });

  it.each([0xa900, 0xc000, 0xc123, 0x0112, 0x0117, 0x0122, 0x0210])(
    '%i is quarantined, the others arrive',
    async (status) => {
      const study = fixtureStudy({ seed: 'refused', series: 1 });
      const bad = uidAt(study, 1);
      await using scp = await receiver({}, (uid) => (uid === bad ? status : 0));
      const { error, reported } = await new TestDelivery(dicomHandler, study).attempt(scp.config);
      expect(error).toBeUndefined();
      expect(reported.get(bad)).toMatchObject({ kind: 'quarantined', error: { code: 'instance-refused' } });
      expect(scp.stored.length).toBe(2);
    },
  );

  it.each([0x0124, 0x0214])('%i is a matter of configuration', async (status) => {
    await using scp = await receiver({}, () => status);
    const { error } = await new TestDelivery(dicomHandler, fixtureStudy({ series: 1 })).attempt(scp.config);
    expect(error).toMatchObject({ code: 'target-misconfigured', disposition: 'halt', stage: 'transfer' });
  });

  it.each([0xa700, 0x0110, 0x0213])(
    '%i is tried again, alone, and quarantined in the third attempt',
    async (status) => {
      const study = fixtureStudy({ seed: 'later', instancesPerSeries: 12 });
      const bad = uidAt(study, 2);
      await using scp = await receiver({}, (uid) => (uid === bad ? status : 0));
      const delivery = new TestDelivery(dicomHandler, study);
      for (const _ of [1, 2]) {
        const { error } = await delivery.attempt(scp.config);
        expect(error).toMatchObject({ code: 'instance-failed', disposition: 'retry' });
        expect(delivery.pending.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual([bad]);
      }
      const { error, reported } = await delivery.attempt(scp.config);
      expect(error).toBeUndefined();
      expect(reported.get(bad)).toMatchObject({ kind: 'quarantined', error: { code: 'instance-refused' } });
    },
  );
});

describe('a receiver without space', () => {
  it.each([0xa700, 0xa702, 0x0213])(
    '%i to all: it is full, in every attempt, and no instance is blamed',
    async (status) => {
      const study = fixtureStudy({ seed: 'full', series: 1 });
      let answered = status;
      await using scp = await receiver({}, () => answered);
      const delivery = new TestDelivery(dicomHandler, study);
      for (const _ of [1, 2, 3, 4]) {
        const { error } = await delivery.attempt(scp.config);
        expect(error).toMatchObject({ code: 'target-full', stage: 'transfer', disposition: 'retry' });
        expect(delivery.pending.length).toBe(3);
      }
      answered = 0;
      expect((await delivery.attempt(scp.config)).error).toBeUndefined();
    },
  );

  it('during a study: arrived instances stay, the rest waits until there is space', async () => {
    const study = fixtureStudy({ seed: 'fills up', instancesPerSeries: 6 });
    let room = 5;
    await using scp = await receiver({}, () => (--room < 0 ? 0xa700 : 0));
    const delivery = new TestDelivery(dicomHandler, study);
    for (const _ of [1, 2, 3, 4]) {
      expect((await delivery.attempt(scp.config)).error).toMatchObject({ code: 'target-full' });
      expect(delivery.pending.length).toBe(7);
    }
    room = 100;
    expect((await delivery.attempt(scp.config)).error).toBeUndefined();
    expect([...delivery.ledger.values()].every(({ kind }) => kind === 'delivered')).toBe(true);
  });
});

describe('an instance that makes the receiver drop the association', () => {
  it('is found out, and its neighbours are not blamed for it', async () => {
    const study = fixtureStudy({ seed: 'poison', instancesPerSeries: 6 });
    const bad = uidAt(study, 3);
    await using scp = await receiver({}, (uid) => (uid === bad ? 'abort' : 0));
    const delivery = new TestDelivery(dicomHandler, study);
    const codes: (string | undefined)[] = [];
    while (delivery.pending.length > 0 && codes.length < 6)
      codes.push((await delivery.attempt(scp.config)).error?.code);
    expect(codes.slice(0, -1).every((code) => code === 'target-connection-lost')).toBe(true);
    expect(codes.at(-1)).toBeUndefined();
    expect([...delivery.ledger].filter(([, { kind }]) => kind === 'quarantined').map(([uid]) => uid)).toEqual([bad]);
    expect(new Set(scp.stored.map(({ uid }) => uid)).size).toBe(11);
  });
});

describe('cancelling', () => {
  it('settles while the receiver owes its answers', async () => {
    await using scp = await receiver({}, () => 'hang');
    const stop = new AbortController();
    const delivery = new TestDelivery(dicomHandler, fixtureStudy({ seed: 'owed' }));
    const attempt = await delivery.attempt(scp.config, {
      signal: stop.signal,
      onChunk: ({ openIndex }) => {
        if (openIndex === 3) setImmediate(() => stop.abort());
      },
    });
    expect(attempt.error).toMatchObject({ code: 'cancelled' });
    expect(delivery.openNow).toBe(0);
  });

  it('settles while the receiver does not answer the association request', async () => {
    const stop = new AbortController();
    await using scp = await receiver({}, undefined, {
      authorize: () => {
        stop.abort();
        return new Promise(() => {});
      },
    });
    const attempt = await new TestDelivery(dicomHandler, fixtureStudy()).attempt(scp.config, { signal: stop.signal });
    expect(attempt.error).toMatchObject({ code: 'cancelled' });
  });
});

describe('presentation contexts', () => {
  it('spreads more pairs than one association holds over several', async () => {
    const [instance] = fixtureStudy().instances;
    const many = Array.from({ length: 300 }, (_, index) => ({
      ...instance!.manifest,
      sopInstanceUid: `1.2.${index}`,
      sopClassUid: `1.2.840.10008.5.1.4.1.1.${index % 150}`,
    }));
    const { groups } = groupByContexts(many, { transcode: 'fallback', transferSyntaxes: [implicit] });
    expect(groups.every(({ contexts }) => contexts.length <= 128)).toBe(true);
    expect(groups.flatMap(({ instances }) => instances).length).toBe(300);
    for (const { contexts, instances } of groups) {
      const pairs = new Set(contexts.map((one) => `${one.abstractSyntax} ${one.transferSyntaxes.join()}`));
      for (const { sopClassUid } of instances) {
        expect(pairs.has(`${sopClassUid} ${explicit}`) && pairs.has(`${sopClassUid} ${implicit}`)).toBe(true);
      }
    }
  });
});

describe('transfer syntaxes', () => {
  let orthanc: OrthancServer;
  let source: OrthancClient;
  beforeAll(async () => {
    orthanc = await startOrthanc();
    source = createOrthancClient({ url: orthanc.url });
  });
  afterAll(async () => {
    await source.close();
    await orthanc.stop();
  });

  /** As in the dispatcher: the source transcodes, or reports that it cannot. */
  const open: DeliveryRun<never>['open'] = async ({ sourceId }, { transferSyntaxUid } = {}) => {
    if (transferSyntaxUid === undefined) return source.instanceFile(sourceId);
    return source.instances.transcode(sourceId, transferSyntaxUid).catch((error: unknown) => {
      throw new DispatchError('instance-unsupported', 'the source cannot transcode', { cause: error });
    });
  };

  async function uploaded(seed: string): Promise<FixtureStudy> {
    const study = fixtureStudy({
      seed,
      series: 1,
      instancesPerSeries: 2,
      rows: 16,
      columns: 16,
      transferSyntax: 'rle',
    });
    const instances = [];
    for (const one of study.instances) {
      const { ID } = await orthanc.upload(Buffer.concat([...(one.read() as Iterable<Uint8Array>)]));
      instances.push({ ...one, manifest: { ...one.manifest, sourceId: ID } });
    }
    return { ...study, instances };
  }

  const onlyUncompressed = {
    presentationContexts: ({ transferSyntaxes }: { transferSyntaxes: readonly string[] }) =>
      transferSyntaxes.find((uid) => uid === implicit || uid === explicit),
  };

  it('quarantines what the receiver does not accept, with a remedy', async () => {
    await using scp = await receiver({}, undefined, onlyUncompressed);
    const { error, reported, opened } = await new TestDelivery(dicomHandler, await uploaded('never')).attempt(
      scp.config,
    );
    expect(error).toBeUndefined();
    expect(opened).toEqual([]);
    for (const outcome of reported.values()) {
      expect(outcome).toMatchObject({
        kind: 'quarantined',
        error: { code: 'instance-unsupported', remedy: expect.stringContaining('transcode: fallback') },
      });
    }
  });

  it.each(['never', 'fallback', 'always'] as const)(
    'transcode: %s re-encodes uncompressed instances for a receiver that accepts Implicit VR only',
    async (transcode) => {
      await using scp = await startStorescp({ args: ['+xi'] });
      const target = { type: 'dicom', host: scp.host, port: scp.port, calledAeTitle: scp.aet, transcode };
      const study = fixtureStudy({ seed: `implicit ${transcode}`, series: 1 });
      const asked: unknown[] = [];
      const delivery = new TestDelivery(dicomHandler, study);
      const { error } = await delivery.attempt(dicomTarget.parse(target), {
        run: {
          async open({ sopInstanceUid, sizeBytes }, options) {
            asked.push(options?.transferSyntaxUid);
            const one = study.instances.find(({ manifest }) => manifest.sopInstanceUid === sopInstanceUid);
            return { sizeBytes, body: Readable.from(one!.read()) };
          },
        },
      });
      expect(error).toBeUndefined();
      // The digest in the receipt is that of the file before re-encoding, so the response notes the re-encoding.
      const answers = [...delivery.ledger.values()].map((one) => one.kind === 'delivered' && one.answer);
      expect(answers).toEqual(Array(3).fill('status 0000H (Success), re-encoded in Implicit VR Little Endian'));
      // The source does not transcode.
      expect(asked).toEqual([undefined, undefined, undefined]);
      const expected = await Promise.all(study.instances.map((one) => part10Facts(toImplicitVr(one.read()))));
      const received = await receivedFiles(scp.receivedFolder);
      expect(received.map(({ datasetDigest }) => datasetDigest).sort()).toEqual(
        expected.map(({ datasetDigest }) => datasetDigest).sort(),
      );
    },
  );

  it('always proposes Implicit VR, and does not send it if the target forbids it', async () => {
    await using scp = await receiver({ transferSyntaxes: [explicit] }, undefined, {
      presentationContexts: ({ transferSyntaxes }) => transferSyntaxes.find((uid) => uid === implicit),
    });
    const study = fixtureStudy({ seed: 'implicit not allowed', series: 1 });
    const { reported } = await new TestDelivery(dicomHandler, study).attempt(scp.config);
    expect([...reported.values()]).toMatchObject(
      Array.from({ length: 3 }, () => ({ error: { code: 'instance-unsupported' } })),
    );
    for (const transcode of ['never', 'fallback', 'always'] as const) {
      const manifests = study.instances.map(({ manifest }) => manifest);
      const { groups } = groupByContexts(manifests, { transcode, transferSyntaxes: [rle] });
      expect(groups.flatMap(({ contexts }) => contexts.flatMap((one) => one.transferSyntaxes))).toContain(implicit);
    }
  });

  it.each(['fallback', 'always'] as const)('transcode: %s compresses nothing that has no pixel data', (transcode) => {
    const [one] = fixtureStudy({ seed: 'report', series: 1, instancesPerSeries: 1 }).instances;
    const lossless = TRANSFER_SYNTAX.jpegLosslessSv1;
    const syntaxOf = (sopClassUid: string, transferSyntaxes: readonly string[], accepted: readonly string[]) => {
      const instance = { ...one!.manifest, sopClassUid, transferSyntaxUid: explicit };
      const proposed = groupByContexts([instance], { transcode, transferSyntaxes: [...transferSyntaxes] });
      expect(proposed.groups.flatMap(({ contexts }) => contexts.flatMap((each) => each.transferSyntaxes))).toEqual(
        expect.arrayContaining([...accepted]),
      );
      const options = { transcode, transferSyntaxes: [...transferSyntaxes] };
      return chooseEncoding(instance, options, (_, syntax) => accepted.includes(syntax))?.transferSyntaxUid;
    };
    const [image, report, waveform] = ['1.1.2', '1.1.88.11', '1.1.9.1.1'].map((end) => `1.2.840.10008.5.1.4.${end}`);
    expect(syntaxOf(image!, [lossless], [lossless, implicit])).toBe(lossless);
    for (const other of [report!, waveform!]) {
      expect(syntaxOf(other, [lossless], [explicit, implicit])).toBe(explicit);
      expect(syntaxOf(other, [lossless, implicit], [implicit])).toBe(implicit);
    }
  });

  it('names an instance that cannot be re-encoded', async () => {
    await using scp = await startStorescp({ args: ['+xi'] });
    const study = fixtureStudy({ seed: 'not to be re-encoded', series: 1 });
    const instances = study.instances.map((one, index) => {
      if (index !== 1) return one;
      const bytes = Buffer.concat([...(one.read() as Iterable<Uint8Array>)]);
      // Position of the VR of the first element.
      bytes.write('??', 132 + 12 + bytes.readUInt32LE(140) + 4, 'latin1');
      return { ...one, read: () => [bytes] };
    });
    const delivery = new TestDelivery(dicomHandler, { ...study, instances });
    const config = dicomTarget.parse({ type: 'dicom', host: scp.host, port: scp.port, calledAeTitle: scp.aet });
    while (delivery.pending.length > 0 && delivery.attempts < 4) await delivery.attempt(config);
    expect(delivery.ledger.get(uidAt(study, 1))).toMatchObject({
      kind: 'quarantined',
      error: { code: 'instance-unsupported', message: expect.stringContaining('cannot be re-encoded') },
    });
    expect((await receivedFiles(scp.receivedFolder)).length).toBe(2);
  });

  it.each([
    ['fallback', undefined, explicit],
    ['fallback', ['implicitVrLittleEndian', 'explicitVrLittleEndian'], implicit],
    ['fallback', ['jpeg2000Lossless', explicit], explicit],
    ['always', [implicit], implicit],
  ] as const)('transcode: %s with %s sends in %s', async (transcode, transferSyntaxes, expected) => {
    await using scp = await receiver({ transcode, transferSyntaxes }, undefined, onlyUncompressed);
    const study = await uploaded(`${transcode} ${transferSyntaxes?.join()}`);
    const { error } = await new TestDelivery(dicomHandler, study).attempt(scp.config, { run: { open } });
    expect(error).toBeUndefined();
    expect(scp.stored.map(({ syntax }) => syntax)).toEqual([expected, expected]);
  });

  it('fallback leaves instances unchanged that the receiver accepts, unless the list of the target excludes them', async () => {
    const study = await uploaded('accepted');
    await using all = await receiver({ transcode: 'fallback' });
    expect((await new TestDelivery(dicomHandler, study).attempt(all.config, { run: { open } })).error).toBeUndefined();
    expect(all.stored.map(({ syntax }) => syntax)).toEqual([rle, rle]);
    await using listed = await receiver({ transcode: 'fallback', transferSyntaxes: [explicit] });
    expect(
      (await new TestDelivery(dicomHandler, study).attempt(listed.config, { run: { open } })).error,
    ).toBeUndefined();
    expect(listed.stored.map(({ syntax }) => syntax)).toEqual([explicit, explicit]);
  });

  it('quarantines what the source cannot transcode', async () => {
    const only = { presentationContexts: () => TRANSFER_SYNTAX.jpeg2000Lossless };
    await using scp = await receiver(
      { transcode: 'fallback', transferSyntaxes: ['jpeg2000Lossless'] },
      undefined,
      only,
    );
    const study = await uploaded('no codec');
    const { error, reported } = await new TestDelivery(dicomHandler, study).attempt(scp.config, { run: { open } });
    expect(error).toBeUndefined();
    expect([...reported.values()]).toMatchObject([
      { error: { code: 'instance-unsupported' } },
      { error: { code: 'instance-unsupported' } },
    ]);
  });

  it('quarantines instances that would get another SOP Instance UID', async () => {
    await using scp = await receiver({ transcode: 'always', transferSyntaxes: [implicit] });
    const study = await uploaded('lossy');
    const [first, second] = study.instances.map(({ manifest }) => manifest);
    const swapped = async (instance: typeof first & {}, options?: { transferSyntaxUid?: string }) =>
      open(instance === first && second ? second : instance, options);
    const delivery = new TestDelivery(dicomHandler, study);
    const { error, reported } = await delivery.attempt(scp.config, { run: { open: swapped } });
    expect(error).toBeUndefined();
    expect(reported.get(String(first?.sopInstanceUid))).toMatchObject({
      kind: 'quarantined',
      error: { code: 'instance-unsupported', remedy: expect.stringContaining('lossless') },
    });
    expect(reported.get(String(second?.sopInstanceUid))).toMatchObject({ kind: 'delivered' });
  });

  it.each([
    [{ transferSyntaxes: ['jpeg'] }, 'a transfer syntax is a UID or one of'],
    [{ transferSyntaxes: [] }, 'transferSyntaxes'],
    [{ retrieve: 'move' }, 'needs moveTo'],
  ])('refuses %o', (more, text) => {
    const target = { type: 'dicom', host: 'pacs', calledAeTitle: 'PACS', ...more };
    expect(() => dicomTarget.parse(target)).toThrow(text);
  });
});
