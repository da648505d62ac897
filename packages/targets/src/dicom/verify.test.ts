import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DispatchError } from '@dicom-dispatch/core';
import { leasePort, makeCertificates, startOrthanc, waitFor, type PortLease } from '@dicom-dispatch/harness';
import { connect, createServer, UID, type Association, type ConnectOptions, type ServerOptions } from 'dicom-dimse';
import {
  dataSet,
  decodeDataSet,
  encodeDataSet,
  readCommitmentRequest,
  reportStorageCommitment,
  requestStorageCommitment,
  type CommitmentRequest,
} from 'dicom-dimse/dataset';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memoryMailbox, TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { allChecks, fixtureStudy, type FixtureStudy } from '../contract-suite/index.ts';
import { dicomHandler } from './handler.ts';
import { littleEndian } from './little-endian.ts';
import { dicomTarget, type DicomTarget } from './schema.ts';
import { takeReport } from './verify/commitment-reports.ts';

const uidsOf = (study: FixtureStudy): string[] => study.instances.map(({ manifest }) => manifest.sopInstanceUid);

interface Archive extends AsyncDisposable {
  readonly config: DicomTarget;
  /** SOP Instance UID to Series Instance UID; remove one to lose it. */
  readonly kept: Set<string>;
  readonly arrived: string[];
}

async function archive(more: Record<string, unknown>, options: Partial<ServerOptions> = {}): Promise<Archive> {
  const kept = new Set<string>();
  const arrived: string[] = [];
  const server = createServer({
    presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
    ...options,
    handlers: {
      async store({ sopInstanceUid, dataSet: bytes }) {
        for await (const _chunk of bytes);
        kept.add(sopInstanceUid);
        arrived.push(sopInstanceUid);
        return 0;
      },
      ...options.handlers,
    },
  });
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
  return {
    kept,
    arrived,
    config: dicomTarget.parse({ type: 'dicom', host: '127.0.0.1', port, calledAeTitle: 'ARCHIVE', ...more }),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

describe('verify: find', () => {
  /** Lists all its instances of the study, also for a query of one series. */
  function listing(study: FixtureStudy, scp: () => Archive, before: () => void = () => {}): Partial<ServerOptions> {
    const series = new Map(
      study.instances.map(({ manifest }) => [manifest.sopInstanceUid, manifest.seriesInstanceUid]),
    );
    return {
      handlers: {
        async *find({ identifier }) {
          before();
          const { SeriesInstanceUID, QueryRetrieveLevel } = await decodeDataSet(identifier);
          if (QueryRetrieveLevel !== 'IMAGE') return;
          for (const uid of scp().kept) {
            if (series.get(uid) === SeriesInstanceUID) yield dataSet({ QueryRetrieveLevel, SOPInstanceUID: uid });
          }
        },
      },
    };
  }

  it('removes confirmations that the archive contradicts; the next attempt sends only these', async () => {
    const study = fixtureStudy({ seed: 'lost' });
    const [first = '', , third = ''] = uidsOf(study);
    let losing = true;
    await using scp: Archive = await archive(
      { verify: 'find', verifyTimeout: 0 },
      listing(
        study,
        () => scp,
        () => {
          if (!losing) return;
          scp.kept.delete(first);
          scp.kept.delete(third);
        },
      ),
    );
    const delivery = new TestDelivery(dicomHandler, study);
    const attempt = await delivery.attempt(scp.config);
    expect(attempt.error).toMatchObject({ code: 'verify-missing', stage: 'verify', disposition: 'retry' });
    expect(attempt.error?.message).toBe('the receiver confirmed 6 instances, but does not list 2 of them');
    expect(attempt.stages).toEqual(['connect', 'transfer', 'verify']);
    expect(delivery.pending.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual([first, third]);
    losing = false;
    expect((await delivery.attempt(scp.config)).error).toBeUndefined();
    expect(scp.arrived.slice(6).sort()).toEqual([first, third].sort());
  });

  it.each(['StudyInstanceUID', 'SeriesInstanceUID'])(
    'an instance that a receiver lists with another %s is not the one that was sent',
    async (keyword) => {
      const study = fixtureStudy({ seed: `elsewhere ${keyword}`, series: 1 });
      await using scp: Archive = await archive(
        { verify: 'find', verifyTimeout: 0 },
        {
          handlers: {
            async *find() {
              // It ignores the keys of the query.
              for (const uid of scp.kept) yield dataSet({ SOPInstanceUID: uid, [keyword]: '1.2.3' });
            },
          },
        },
      );
      const { error } = await new TestDelivery(dicomHandler, study).attempt(scp.config);
      expect(error).toMatchObject({ code: 'verify-missing', stage: 'verify' });
    },
  );

  it('waits for an archive that lists an instance later than it confirms it', async () => {
    const study = fixtureStudy({ seed: 'slow index', series: 1 });
    let asked = 0;
    await using scp: Archive = await archive(
      { verify: 'find', verifyTimeout: '20s' },
      {
        handlers: {
          async *find() {
            asked += 1;
            if (asked < 3) return;
            for (const uid of scp.kept) yield dataSet({ SOPInstanceUID: uid });
          },
        },
      },
    );
    expect((await new TestDelivery(dicomHandler, study).attempt(scp.config)).error).toBeUndefined();
    expect(asked).toBe(3);
  });

  it('is done over all that was ever delivered, also when nothing is pending', async () => {
    const study = fixtureStudy({ seed: 'again', series: 1 });
    await using scp: Archive = await archive(
      { verify: 'find', verifyTimeout: 0 },
      listing(study, () => scp),
    );
    const delivery = new TestDelivery(dicomHandler, study);
    expect((await delivery.attempt(scp.config)).error).toBeUndefined();
    scp.kept.clear();
    const again = await delivery.attempt(scp.config);
    expect(again.error).toMatchObject({ code: 'verify-missing' });
    expect(again.stages).toEqual(['connect', 'verify']);
    expect(delivery.pending.length).toBe(3);
  });

  it('does not ask for what is quarantined', async () => {
    const study = fixtureStudy({ seed: 'bad one', series: 1 });
    const bad = uidsOf(study)[1];
    await using scp: Archive = await archive(
      { verify: 'find', verifyTimeout: 0 },
      {
        handlers: {
          ...listing(study, () => scp).handlers,
          async store({ sopInstanceUid, dataSet: bytes }) {
            for await (const _chunk of bytes);
            if (sopInstanceUid === bad) return 0xc000;
            scp.kept.add(sopInstanceUid);
            return 0;
          },
        },
      },
    );
    const delivery = new TestDelivery(dicomHandler, study);
    expect((await delivery.attempt(scp.config)).error).toBeUndefined();
    const quarantined = study.instances.map(({ manifest }) => manifest).filter((one) => one.sopInstanceUid === bad);
    expect((await delivery.attempt(scp.config, { run: { quarantined } })).error).toBeUndefined();
  });

  it.each([
    ['does not offer it', {}, 'target-misconfigured'],
    [
      'fails it',
      {
        find: () => {
          throw new Error('no index');
        },
      },
      'target-error',
    ],
  ])('says when the archive %s', async (_name, handlers, code) => {
    const onlyStorage: Partial<ServerOptions> =
      'find' in handlers
        ? {}
        : {
            presentationContexts: ({ abstractSyntax, transferSyntaxes }) =>
              abstractSyntax === UID.studyRootFind ? undefined : transferSyntaxes[0],
          };
    await using scp = await archive({ verify: 'find', verifyTimeout: 0 }, { ...onlyStorage, handlers });
    const { error } = await new TestDelivery(dicomHandler, fixtureStudy({ series: 1 })).attempt(scp.config);
    expect(error).toMatchObject({ code, stage: 'verify' });
  });
});

describe('verify: commitment', () => {
  let lease: PortLease;
  beforeAll(async () => {
    lease = await leasePort();
  });
  afterAll(() => lease.release());

  const listener = () => ({ listen: `127.0.0.1:${lease.port}` });

  it('is confirmed by Orthanc, which reports on its own association; lost instances are sent again', async () => {
    await using orthanc = await startOrthanc({ modalities: { us: ['DISPATCH', '127.0.0.1', lease.port] } });
    const config = dicomTarget.parse({
      type: 'dicom',
      host: '127.0.0.1',
      port: orthanc.dicomPort,
      calledAeTitle: orthanc.aet,
      verify: 'commitment',
      commitment: { timeout: '60s', listener: listener() },
    });
    expect((await allChecks(dicomHandler, config)).filter(({ result }) => result !== 'passed')).toEqual([]);
    const study = fixtureStudy({ seed: 'orthanc commits' });
    const delivery = new TestDelivery(dicomHandler, study);
    const expected: string[] = [];
    const { expect: expectReport } = delivery.mailbox;
    delivery.mailbox.expect = async (name) => expectReport(name).then(() => void expected.push(name));
    const first = await delivery.attempt(config);
    expect(first.error?.message).toBeUndefined();

    const lost = uidsOf(study)[2] ?? '';
    const [instance] = (await orthanc.send('POST', '/tools/find', {
      Level: 'Instance',
      Query: { SOPInstanceUID: lost },
    })) as string[];
    await orthanc.send('DELETE', `/instances/${instance}`);

    // Orthanc reports once more on the closed transaction, on its own association.
    await using _dispatcher = serving(config, delivery);
    const askAgain = async (): Promise<void> => {
      const asking = await connect({
        host: '127.0.0.1',
        port: orthanc.dicomPort,
        callingAeTitle: 'DISPATCH',
        calledAeTitle: orthanc.aet,
        presentationContexts: [{ abstractSyntax: UID.storageCommitmentPushModel, transferSyntaxes: littleEndian }],
      });
      await requestStorageCommitment(asking, {
        transactionUid: expected[0]?.split(':')[1] ?? '',
        references: study.instances.map(({ manifest: { sopClassUid = '', sopInstanceUid } }) => ({
          sopClassUid,
          sopInstanceUid,
        })),
      });
      await asking.release();
    };
    // Requested again until a report arrives: Orthanc does not repeat a report that it could not deliver.
    await waitFor(async () => delivery.mailbox.doubts.length > 0 || (await askAgain()), { intervalMs: 500 });
    expect(delivery.mailbox.doubts.length).toBe(1);
    expect(delivery.mailbox.doubts[0]?.text).toContain('(0112H No such object instance)');

    const another = new TestDelivery(dicomHandler, study);
    for (const [uid, outcome] of delivery.ledger) another.ledger.set(uid, outcome);
    const missing = await another.attempt(config);
    expect(missing.error).toMatchObject({ code: 'verify-missing', stage: 'verify' });
    expect(another.pending.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual([lost]);
    expect((await another.attempt(config)).error?.message).toBeUndefined();
    expect(await orthanc.sopInstanceUids()).toEqual(uidsOf(study).sort());
  });

  /** Reaction of an archive to a request: `later` does not respond, a number is the status of its response. */
  type Reaction = (request: CommitmentRequest, association: Association, count: number) => number | void;

  async function committing(
    reaction: Reaction,
    more: Record<string, unknown> = {},
  ): Promise<Archive & { requests: CommitmentRequest[] }> {
    const requests: CommitmentRequest[] = [];
    const scp = await archive(
      { verify: 'commitment', commitment: { timeout: '60s' }, ...more },
      {
        handlers: {
          async action(request) {
            const asked = await readCommitmentRequest(request);
            requests.push(asked);
            return { status: reaction(asked, request.association, requests.length) ?? 0 };
          },
        },
      },
    );
    return Object.assign(scp, { requests });
  }

  /** Reports on the requesting association, with failures for some. */
  function report(
    { transactionUid, references }: CommitmentRequest,
    association: Association,
    reasonOf: (sopInstanceUid: string) => number | undefined = () => undefined,
  ): void {
    const failed = references.flatMap((one) => {
      const reason = reasonOf(one.sopInstanceUid);
      return reason === undefined ? [] : [{ ...one, reason }];
    });
    const names = new Set(failed.map(({ sopInstanceUid }) => sopInstanceUid));
    const committed = references.filter(({ sopInstanceUid }) => !names.has(sopInstanceUid));
    // After the response to the request, like an archive that checks its storage first.
    setImmediate(
      () => void reportStorageCommitment(association, { transactionUid, committed, failed }).catch(() => {}),
    );
  }

  it('accepts the report on the requesting association, and requests all together', async () => {
    await using scp = await committing((request, association) => report(request, association));
    const study = fixtureStudy({ seed: 'same association' });
    const attempt = await new TestDelivery(dicomHandler, study).attempt(scp.config);
    expect(attempt.error?.message).toBeUndefined();
    expect(scp.requests.map(({ references }) => references.length)).toEqual([6]);
  });

  it.each([
    [0x0112, 'verify-missing', 'sent again'],
    [0x0213, 'verify-pending', 'asked for again'],
    [0x0110, 'verify-pending', 'asked for again'],
    [0x0131, 'verify-pending', 'asked for again'],
    [0x0119, undefined, 'quarantined'],
    [0x0122, undefined, 'quarantined'],
  ])('reason %i: %s, the instance is %s', async (reason, code, what) => {
    const study = fixtureStudy({ seed: `reason ${reason}`, series: 1 });
    const bad = uidsOf(study)[1] ?? '';
    await using scp = await committing((request, association, count) =>
      report(request, association, (uid) => (uid === bad && count === 1 ? reason : undefined)),
    );
    const delivery = new TestDelivery(dicomHandler, study);
    const first = await delivery.attempt(scp.config);
    expect(first.error?.code).toBe(code);
    if (what === 'quarantined') {
      expect(first.reported.get(bad)).toMatchObject({ kind: 'quarantined', error: { code: 'instance-refused' } });
      return;
    }
    expect(delivery.pending.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual(what === 'sent again' ? [bad] : []);
    expect((await delivery.attempt(scp.config)).error?.message).toBeUndefined();
    expect(scp.arrived.length).toBe(what === 'sent again' ? 4 : 3);
    const [, second] = scp.requests;
    expect(second?.references.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual([bad]);
    expect(second?.transactionUid).not.toBe(scp.requests[0]?.transactionUid);
  });

  it('a duplicate Transaction UID in the response is answered with a new one immediately', async () => {
    await using scp = await committing((request, association, count) => {
      if (count > 1) report(request, association);
      return count === 1 ? 0x0131 : 0;
    });
    const attempt = await new TestDelivery(dicomHandler, fixtureStudy({ series: 1 })).attempt(scp.config);
    expect(attempt.error?.message).toBeUndefined();
    expect(new Set(scp.requests.map(({ transactionUid }) => transactionUid)).size).toBe(2);
  });

  it('without a report it is pending; the next attempt sends a new request and accepts the old report too', async () => {
    await using scp = await committing(() => {}, { commitment: { timeout: '300ms', listener: listener() } });
    const delivery = new TestDelivery(dicomHandler, fixtureStudy({ seed: 'no answer', series: 1 }));
    await using _dispatcher = serving(scp.config, delivery);
    const first = await delivery.attempt(scp.config);
    expect(first.error).toMatchObject({ code: 'verify-pending', stage: 'verify', disposition: 'retry' });
    expect(first.error?.remedy).toContain('commitment.listener');
    expect(delivery.pending).toEqual([]);
    // The report arrives between two attempts.
    const [request] = scp.requests;
    if (!request) throw new Error('nothing was asked');
    await waitFor(async () => (await reportFromOutside(request)) === 0);
    const second = await delivery.attempt(scp.config);
    expect(second.error?.message).toBeUndefined();
    expect(scp.arrived.length).toBe(3);
  });

  it('continues to wait for the same transaction after a restart', async () => {
    await using scp = await committing(() => {}, { commitment: { timeout: '60s', listener: listener() } });
    const delivery = new TestDelivery(dicomHandler, fixtureStudy({ seed: 'restart', series: 1 }));
    const stop = new AbortController();
    const attempt = delivery.attempt(scp.config, { signal: stop.signal });
    await waitFor(() => scp.requests.length === 1);
    stop.abort();
    expect((await attempt).error).toMatchObject({ code: 'cancelled' });

    const again = delivery.attempt(scp.config);
    const [request] = scp.requests;
    if (!request) throw new Error('nothing was asked');
    await waitFor(async () => (await reportFromOutside(request)) === 0);
    expect((await again).error?.message).toBeUndefined();
    expect(scp.requests.length).toBe(1);
  });

  it('a receiver without storage commitment is a matter of configuration', async () => {
    await using scp = await archive(
      { verify: 'commitment' },
      {
        presentationContexts: ({ abstractSyntax, transferSyntaxes }) =>
          abstractSyntax === UID.storageCommitmentPushModel ? undefined : transferSyntaxes[0],
      },
    );
    const { error } = await new TestDelivery(dicomHandler, fixtureStudy({ series: 1 })).attempt(scp.config);
    expect(error).toMatchObject({ code: 'target-misconfigured', stage: 'verify' });
    const failed = (await allChecks(dicomHandler, scp.config)).filter(({ result }) => result === 'failed');
    expect(failed.map(({ name }) => name)).toEqual(['commitment']);
  });

  it('an address on which we cannot listen is a matter of configuration', async () => {
    const taken = createTcpServer((socket) => socket.end());
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as AddressInfo;
    await using scp = await committing(() => {}, { commitment: { listener: { listen: `127.0.0.1:${port}` } } });
    const { error } = await new TestDelivery(dicomHandler, fixtureStudy({ series: 1 })).attempt(scp.config);
    expect(error).toMatchObject({ code: 'config-invalid', stage: 'verify' });
    expect(error?.message).toContain(`cannot listen on 127.0.0.1:${port}`);
    const failed = (await allChecks(dicomHandler, scp.config)).filter(({ result }) => result === 'failed');
    expect(failed.map(({ name }) => name)).toEqual(['listen']);
    taken.close();
  });

  it('an address on which one of our dispatchers listens passes the test', async () => {
    const ours = createServer({ presentationContexts: [] });
    const { port } = await ours.listen({ port: 0, host: '127.0.0.1' });
    await using scp = await committing(() => {}, { commitment: { listener: { listen: `127.0.0.1:${port}` } } });
    const checks = await allChecks(dicomHandler, scp.config);
    expect(checks.at(-1)).toMatchObject({
      name: 'listen',
      result: 'passed',
      detail: expect.stringContaining('in use'),
    });
    await ours.close();
  });

  it('accepts reports by TLS, from an identified peer', async () => {
    const { ca, server, client } = await makeCertificates();
    const tls = { cert: server.certFile, key: server.keyFile, ca: ca.certFile };
    await using scp = await committing(() => {}, { commitment: { timeout: '60s', listener: { ...listener(), tls } } });
    const attempt = new TestDelivery(dicomHandler, fixtureStudy({ series: 1 })).attempt(scp.config);
    await waitFor(() => scp.requests.length === 1);
    const [request] = scp.requests;
    if (!request) throw new Error('nothing was asked');
    expect(await reportFromOutside(request)).toBeUndefined();
    expect(await reportFromOutside(request, { ca: ca.cert })).toBeUndefined();
    expect(await reportFromOutside(request, { ca: ca.cert, cert: client.cert, key: client.key })).toBe(0);
    expect((await attempt).error?.message).toBeUndefined();
  });

  it('rejects an unexpected report', async () => {
    await using scp = await committing(() => {}, { commitment: { timeout: '60s', listener: listener() } });
    const stop = new AbortController();
    const delivery = new TestDelivery(dicomHandler, fixtureStudy({ series: 1 }));
    const attempt = delivery.attempt(scp.config, { signal: stop.signal });
    await waitFor(() => scp.requests.length === 1);
    expect(await reportFromOutside({ transactionUid: '1.2.3.4', references: [] })).toBe(0x0110);
    stop.abort();
    await attempt;
  });

  it('a report that arrives at another dispatcher while nothing waits here reaches the delivery through the mailbox', async () => {
    await using scp = await committing(() => {}, { commitment: { timeout: '300ms', listener: listener() } });
    const delivery = new TestDelivery(dicomHandler, fixtureStudy({ seed: 'elsewhere', series: 1 }));
    // This dispatcher never requests commitment, it only listens.
    const dispatcher = serving(scp.config, delivery);
    const first = await delivery.attempt(scp.config);
    expect(first.error).toMatchObject({ code: 'verify-pending' });
    const [request] = scp.requests;
    if (!request) throw new Error('nothing was asked');
    await waitFor(async () => (await reportFromOutside(request)) === 0);
    await dispatcher[Symbol.asyncDispose]();
    // No listener is open any more: the received report is still in the mailbox, and is read once.
    expect((await delivery.attempt(scp.config)).error?.message).toBeUndefined();
    expect(await delivery.mailbox.leave(`storage-commitment:${request.transactionUid}`, {})).toBe(false);
  });

  it('a report that cannot be stored now is rejected, so that it is sent again', async () => {
    await using scp = await committing(() => {}, { commitment: { timeout: '60s', listener: listener() } });
    const delivery = new TestDelivery(dicomHandler, fixtureStudy({ seed: 'no redis', series: 1 }));
    const { leave } = delivery.mailbox;
    delivery.mailbox.leave = () => Promise.reject(new DispatchError('ledger-unavailable', 'Redis did not answer'));
    const attempt = delivery.attempt(scp.config);
    await waitFor(() => scp.requests.length === 1);
    const [request] = scp.requests;
    if (!request) throw new Error('nothing was asked');
    expect(await reportFromOutside(request)).toBe(0x0110);
    delivery.mailbox.leave = leave;
    expect(await reportFromOutside(request)).toBe(0);
    expect((await attempt).error?.message).toBeUndefined();
  });

  describe('reports that contradict each other', () => {
    /** A delivery whose first attempt has ended without a report, and the request that is still open. */
    async function pending(scp: Awaited<ReturnType<typeof committing>>, seed: string) {
      const study = fixtureStudy({ seed, series: 1 });
      const delivery = new TestDelivery(dicomHandler, study);
      expect((await delivery.attempt(scp.config)).error).toMatchObject({ code: 'verify-pending' });
      return { delivery, uids: uidsOf(study) };
    }
    const silent = () => committing(() => {}, { commitment: { timeout: '300ms', listener: listener() } });

    it.each(['first', 'last'])('on one transaction: the failure stands, if it arrives %s', async (when) => {
      await using scp = await silent();
      const { delivery, uids } = await pending(scp, `contradiction ${when}`);
      await using _dispatcher = serving(scp.config, delivery);
      const [request] = scp.requests;
      const bad = { lacking: uids[1]! };
      const reports = [bad, {}];
      for (const one of when === 'first' ? reports : reports.toReversed()) {
        await waitFor(async () => (await reportFromOutside(request!, undefined, one)) === 0);
      }
      const { error } = await delivery.attempt(scp.config);
      expect(error).toMatchObject({ code: 'verify-missing' });
      expect(delivery.pending.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual([uids[1]]);
      // Later reports on this transaction are not accepted any more.
      expect(await reportFromOutside(request!)).toBe(0x0110);
    });

    it('a failure after the commitment is noted with the delivery, once, and only if it comes from the receiver', async () => {
      await using scp = await silent();
      const { delivery, uids } = await pending(scp, 'after the commitment');
      await using _dispatcher = serving(scp.config, delivery);
      const [request] = scp.requests;
      const late = (report: Parameters<typeof reportFromOutside>[2], of = request!) =>
        reportFromOutside(of, undefined, report);
      await waitFor(async () => (await late({})) === 0);
      expect((await delivery.attempt(scp.config)).error?.message).toBeUndefined();

      const lacking = uids[1]!;
      expect(await late({ lacking, from: 'OTHER' })).toBe(0x0110);
      expect(await late({ lacking }, { ...request!, transactionUid: '2.25.1' })).toBe(0x0110);
      const other = { sopClassUid: '1.2', sopInstanceUid: '1.2.3' };
      expect(await late({ lacking: '1.2.3' }, { ...request!, references: [other] })).toBe(0x0110);
      expect(await late({})).toBe(0x0110);
      expect(delivery.mailbox.doubts).toEqual([]);

      expect(await late({ lacking })).toBe(0);
      expect(delivery.mailbox.doubts).toEqual([
        { deliveryId: 'test-delivery', text: expect.stringContaining('for an instance to which it had committed') },
      ]);
      expect(delivery.mailbox.doubts[0]?.text).toContain('0112H No such object instance');
      expect(delivery.pending).toEqual([]);
      expect(await late({ lacking })).toBe(0x0110);
      expect(delivery.mailbox.doubts.length).toBe(1);
    });

    it('a failure that was reported and sent again is not noted when it is reported once more', async () => {
      await using scp = await silent();
      const { delivery, uids } = await pending(scp, 'reported twice');
      await using _dispatcher = serving(scp.config, delivery);
      const lacking = uids[1]!;
      const [request] = scp.requests;
      await waitFor(async () => (await reportFromOutside(request!, undefined, { lacking })) === 0);
      expect((await delivery.attempt(scp.config)).error).toMatchObject({ code: 'verify-missing' });
      expect(await reportFromOutside(request!, undefined, { lacking })).toBe(0x0110);
      expect(delivery.mailbox.doubts).toEqual([]);
    });

    it('a failure counts that arrives after the commitment was read, and before its transaction is closed', async () => {
      await using scp = await silent();
      const { delivery, uids } = await pending(scp, 'while it is read');
      await using _dispatcher = serving(scp.config, delivery);
      const [request] = scp.requests;
      await waitFor(async () => (await reportFromOutside(request!)) === 0);
      const { close } = delivery.mailbox;
      let status: number | undefined;
      delivery.mailbox.close = async <T>(name: string, facts: unknown) => {
        status ??= await reportFromOutside(request!, undefined, { lacking: uids[1]! });
        return close<T>(name, facts);
      };
      expect((await delivery.attempt(scp.config)).error).toMatchObject({ code: 'verify-missing' });
      expect(status).toBe(0);
      expect(delivery.pending.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual([uids[1]]);
      expect(delivery.mailbox.doubts).toEqual([]);
    });

    it('the result of a report is stored before the report leaves the mailbox', async () => {
      await using scp = await silent();
      const { delivery } = await pending(scp, 'ends while it is closed');
      await using _dispatcher = serving(scp.config, delivery);
      const [request] = scp.requests;
      await waitFor(async () => (await reportFromOutside(request!)) === 0);
      const { close } = delivery.mailbox;
      // As if the process had ended after this.
      delivery.mailbox.close = async (name, facts) => {
        await close(name, facts);
        throw new DispatchError('ledger-unavailable', 'Redis did not answer');
      };
      expect((await delivery.attempt(scp.config)).error).toMatchObject({ code: 'ledger-unavailable' });
      delivery.mailbox.close = close;
      const asked = scp.requests.length;
      expect((await delivery.attempt(scp.config)).error?.message).toBeUndefined();
      expect(scp.requests.length).toBe(asked);
    });

    it('on two transactions: the result of the newer one counts, in any order of arrival', async () => {
      for (const isOldFirst of [true, false]) {
        await using scp = await silent();
        const { delivery, uids } = await pending(scp, `two transactions ${isOldFirst}`);
        await using _dispatcher = serving(scp.config, delivery);
        expect((await delivery.attempt(scp.config)).error).toMatchObject({ code: 'verify-pending' });
        const [old, young] = scp.requests;
        const reports = [
          () => reportFromOutside(old!),
          () => reportFromOutside(young!, undefined, { lacking: uids[0]! }),
        ];
        for (const one of isOldFirst ? reports : reports.toReversed()) await waitFor(async () => (await one()) === 0);
        expect((await delivery.attempt(scp.config)).error).toMatchObject({ code: 'verify-missing' });
        expect(delivery.pending.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual([uids[0]]);
      }
    });

    it.each([
      ['as committed and as failed', 0x0112],
      ['as committed, and as failed for now', 0x0110],
    ])('in one report, which lists an instance %s: the failure stands', async (_name, reason) => {
      await using scp = await silent();
      const { delivery, uids } = await pending(scp, `both ${reason}`);
      await using _dispatcher = serving(scp.config, delivery);
      const [request] = scp.requests;
      await waitFor(async () => (await reportFromOutside(request!, undefined, { both: uids[0]!, reason })) === 0);
      const { error } = await delivery.attempt(scp.config);
      expect(error?.code).toBe(reason === 0x0112 ? 'verify-missing' : 'verify-pending');
      expect(delivery.pending.length).toBe(reason === 0x0112 ? 1 : 0);
    });

    it('a report on a transaction of another delivery confirms nothing, also if it lists instances of this one', async () => {
      await using scp = await silent();
      const one = await pending(scp, 'of another');
      const other = new TestDelivery(dicomHandler, fixtureStudy({ seed: 'other delivery', series: 1 }));
      expect((await other.attempt(scp.config)).error).toMatchObject({ code: 'verify-pending' });
      await using _dispatcher = serving(scp.config, other);
      const [ours, theirs] = scp.requests;
      const report = { ...theirs!, references: ours!.references };
      await waitFor(async () => (await reportFromOutside(report)) === 0);
      for (const delivery of [one.delivery, other]) {
        expect((await delivery.attempt(scp.config)).error).toMatchObject({ code: 'verify-pending' });
      }
    });

    it('an instance with another class, or without one, is not the requested one', async () => {
      await using scp = await silent();
      const { delivery } = await pending(scp, 'another class');
      await using _dispatcher = serving(scp.config, delivery);
      const [request] = scp.requests;
      const references = request!.references.map((one, index) =>
        index === 0 ? { ...one, sopClassUid: '1.2.840.10008.5.1.4.1.1.9999' } : one,
      );
      await waitFor(async () => (await reportFromOutside({ ...request!, references })) === 0);
      expect((await delivery.attempt(scp.config)).error?.message).toBe(
        'the receiver has not yet committed 1 of 3 instances',
      );
    });
  });

  it.each([
    ['an event type that there is not', { typeId: 3 }, 0x0113],
    ['a transaction that is no UID', { transactionUid: 'storage:*' }, 0x0115],
  ] as const)('refuses a report with %s', async (_name, wrong, status) => {
    const taken: string[] = [];
    const mailbox = { ...memoryMailbox(), leave: async (name: string) => taken.push(name) > 0 };
    const report = encodeDataSet(
      { TransactionUID: 'transactionUid' in wrong ? wrong.transactionUid : '1.2' },
      littleEndian[0],
    );
    const answer = await takeReport(
      {
        sopClassUid: UID.storageCommitmentPushModel,
        sopInstanceUid: UID.storageCommitmentPushModelInstance,
        typeId: 'typeId' in wrong ? wrong.typeId : 1,
        dataSet: { transferSyntaxUid: littleEndian[0], bytes: Buffer.from(report) },
        association: undefined as never,
      },
      [mailbox],
    );
    expect(answer).toEqual({ status });
    expect(taken).toEqual([]);
  });

  /** A dispatcher that listens for reports as long as it runs. */
  function serving(config: DicomTarget, { mailbox }: TestDelivery<DicomTarget>): AsyncDisposable {
    const log = { info: () => {}, warn: () => {} };
    const service = dicomHandler.serve?.({ config, targetName: 'archive', mailbox, log });
    return { [Symbol.asyncDispose]: async () => service?.stop() };
  }

  /** Sends a report on an association that the archive opens, as SCP. @returns the status of our response */
  async function reportFromOutside(
    { transactionUid, references }: CommitmentRequest,
    tls?: ConnectOptions['tls'],
    {
      lacking,
      both,
      reason = 0x0112,
      from = 'ARCHIVE',
    }: { lacking?: string; both?: string; reason?: number; from?: string } = {},
  ): Promise<number | undefined> {
    const association = await connect({
      host: '127.0.0.1',
      port: lease.port,
      tls,
      associationTimeoutMs: 20_000,
      callingAeTitle: from,
      calledAeTitle: 'DISPATCH',
      presentationContexts: [{ abstractSyntax: UID.storageCommitmentPushModel, transferSyntaxes: littleEndian }],
      roles: [{ sopClassUid: UID.storageCommitmentPushModel, scu: false, scp: true }],
    }).catch(() => undefined);
    if (!association) {
      await sleep(20);
      return undefined;
    }
    const { status } = await reportStorageCommitment(association, {
      transactionUid,
      committed: references.filter(({ sopInstanceUid }) => sopInstanceUid !== lacking),
      failed: references
        .filter(({ sopInstanceUid }) => sopInstanceUid === lacking || sopInstanceUid === both)
        .map((one) => ({ ...one, reason })),
    });
    await association.release();
    return status;
  }
});
