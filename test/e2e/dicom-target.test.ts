import { leasePort, startStorescp, waitFor } from '@dicom-dispatch/harness';
import { connect, createServer, TRANSFER_SYNTAX, UID } from 'dicom-dimse';
import { readCommitmentRequest, reportStorageCommitment, type CommitmentRequest } from 'dicom-dimse/dataset';
import { describe, expect, it } from 'vitest';
import { startDispatch } from './support/start-dispatch.ts';
import { startFollowing } from './support/start-in-process.ts';
import { pacsTarget } from './support/pacs-target.ts';
import { startSystem } from './support/system.ts';

const { implicitVrLittleEndian, explicitVrLittleEndian } = TRANSFER_SYNTAX;

describe('a DICOM target in the complete system', () => {
  it('gets what it does not accept as stored in a syntax that it does, transcoded by the source', async () => {
    await using system = await startSystem();
    await using pacs = await startStorescp();
    await using dispatch = await startFollowing({
      config: system.config({
        strict: pacsTarget(pacs),
        willing: pacsTarget(pacs, { transcode: 'fallback', transferSyntaxes: ['implicitVrLittleEndian'] }),
      }),
    });
    const study = await system.upload({
      seed: 'transcode',
      series: 1,
      instancesPerSeries: 3,
      rows: 32,
      columns: 32,
      transferSyntax: 'rle',
    });
    const refused = await system.untilDelivery(study, 'strict', ['failed']).catch((error: unknown) => {
      throw new Error(dispatch.output(), { cause: error });
    });
    // Nothing arrived, so the text does not claim that other instances did.
    expect(refused).toMatchObject({
      confirmed: 0,
      quarantined: 3,
      error: { code: 'all-quarantined', message: 'all 3 instances are quarantined: nothing was delivered' },
    });
    await system.untilDelivery(study, 'willing', ['delivered']);
    const received = await pacs.received();
    expect(received.map(({ sopInstanceUid }) => sopInstanceUid)).toEqual([...study.datasets.keys()].sort());
    expect(new Set(received.map(({ transferSyntaxUid }) => transferSyntaxUid))).toEqual(
      new Set([implicitVrLittleEndian]),
    );
  });

  it('continues to wait for a storage commitment after a restart, without a new request', async () => {
    await using system = await startSystem();
    const lease = await leasePort();
    const requests: CommitmentRequest[] = [];
    const stored: string[] = [];
    const scp = createServer({
      presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
      handlers: {
        async store({ sopInstanceUid, dataSet }) {
          for await (const _chunk of dataSet);
          stored.push(sopInstanceUid);
          return 0;
        },
        async action(request) {
          requests.push(await readCommitmentRequest(request));
          return { status: 0 };
        },
      },
    });
    const { port } = await scp.listen({ port: 0, host: '127.0.0.1' });
    const config = {
      ...system.config({
        archive: pacsTarget(
          { host: '127.0.0.1', port, aet: 'ARCHIVE' },
          {
            verify: 'commitment',
            commitment: { timeout: '1m', listener: { listen: `127.0.0.1:${lease.port}` } },
          },
        ),
      }),
      dispatcher: { graceTime: '100ms' },
    };
    await using dispatch = await startDispatch({ config });
    const study = await system.upload({ seed: 'commit', series: 1, instancesPerSeries: 4 });
    await waitFor(() => requests.length === 1, { message: () => dispatch.output() });
    await dispatch.restart();
    const status = await waitFor(() => report(requests[0], lease.port), {
      message: () => dispatch.output(),
    });
    expect(status).toBe('taken');
    await system.untilDelivery(study, 'archive', ['delivered']).catch((error: unknown) => {
      throw new Error(dispatch.output(), { cause: error });
    });
    const late = waitFor(() => report(requests[0], lease.port, 'lost'), {
      message: () => dispatch.output(),
    });
    expect(await late).toBe('taken');
    const delivery = await system.untilDelivery(study, 'archive', ['delivered']);
    expect(delivery).toMatchObject({ mayBeLost: true, confirmed: 4 });
    expect(delivery.notice).toContain('failure for an instance to which it had committed before (0112H');
    expect(requests.length).toBe(1);
    expect(stored.sort()).toEqual([...study.datasets.keys()].sort());
    await scp.close();
    lease.release();
  });
});

/** Sends the report of an archive that found everything, or has lost one; undefined while no dispatcher accepts it. */
async function report(
  request: CommitmentRequest | undefined,
  port: number,
  how: 'all' | 'lost' = 'all',
): Promise<'taken' | undefined> {
  if (!request) return undefined;
  const association = await connect({
    host: '127.0.0.1',
    port,
    callingAeTitle: 'ARCHIVE',
    calledAeTitle: 'DISPATCH',
    presentationContexts: [
      { abstractSyntax: UID.storageCommitmentPushModel, transferSyntaxes: [explicitVrLittleEndian] },
    ],
    roles: [{ sopClassUid: UID.storageCommitmentPushModel, scu: false, scp: true }],
  }).catch(() => undefined);
  if (!association) return undefined;
  const { transactionUid, references } = request;
  const lost = how === 'lost' ? 1 : 0;
  const { status } = await reportStorageCommitment(association, {
    transactionUid,
    committed: references.slice(lost),
    failed: references.slice(0, lost).map((one) => ({ ...one, reason: 0x0112 })),
  });
  await association.release();
  return status === 0 ? 'taken' : undefined;
}
