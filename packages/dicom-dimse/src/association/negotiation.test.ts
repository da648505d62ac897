import { describe, expect, it } from 'vitest';
import { listen, openPair } from '../testing/open-pair.ts';
import { AE_TITLES, CT_CONTEXT, CT_IMAGE, opaqueFile } from '../testing/part10-fixture.ts';
import { startScriptedPeer } from '../testing/scripted-peer.ts';
import type { AssociationRequest } from '../server/answer-request.ts';
import { IMPLEMENTATION, TRANSFER_SYNTAX, UID } from '../uids.ts';
import { connect } from './connect.ts';
import { connectGroup, splitPresentationContexts } from './connect-group.ts';

const { explicitVrLittleEndian, implicitVrLittleEndian, jpegBaseline } = TRANSFER_SYNTAX;
const MR_IMAGE = '1.2.840.10008.5.1.4.1.1.4';

describe('an association', () => {
  it('has the contexts that both ends accept, and reports why others were rejected', async () => {
    await using pair = await openPair(
      { presentationContexts: [{ abstractSyntax: CT_IMAGE, transferSyntaxes: [explicitVrLittleEndian] }] },
      {
        presentationContexts: [
          { abstractSyntax: CT_IMAGE, transferSyntaxes: [implicitVrLittleEndian, explicitVrLittleEndian] },
          { abstractSyntax: CT_IMAGE, transferSyntaxes: [jpegBaseline] },
          { abstractSyntax: MR_IMAGE, transferSyntaxes: [explicitVrLittleEndian] },
          { abstractSyntax: UID.verification, transferSyntaxes: [implicitVrLittleEndian] },
        ],
      },
    );
    const { association } = pair;
    expect(association.acceptedContexts).toEqual([
      { id: 1, abstractSyntax: CT_IMAGE, transferSyntax: explicitVrLittleEndian, isScu: true, isScp: false },
      { id: 7, abstractSyntax: UID.verification, transferSyntax: implicitVrLittleEndian, isScu: true, isScp: false },
    ]);
    expect(association.rejectedContexts.map(({ id, reason }) => [id, reason])).toEqual([
      [3, 'transfer-syntaxes-not-supported'],
      [5, 'abstract-syntax-not-supported'],
    ]);
    expect(association.canStore(CT_IMAGE, explicitVrLittleEndian)).toBe(true);
    expect(association.canStore(CT_IMAGE, jpegBaseline)).toBe(false);
    expect(association.peer).toMatchObject({
      implementationClassUid: IMPLEMENTATION.classUid,
      implementationVersionName: IMPLEMENTATION.versionName,
      maxPduLengthBytes: 131_072,
      operationsWindow: { invoked: 1, performed: 1 },
    });
    await expect(association.store([opaqueFile(100).file], { sopClassUid: MR_IMAGE })).rejects.toMatchObject({
      code: 'no-presentation-context',
    });
    expect(await association.echo()).toMatchObject({ class: 'success' });
  });

  it('selects roles', async () => {
    const seen: unknown[] = [];
    await using pair = await openPair(
      {
        presentationContexts: [
          { ...CT_CONTEXT, requestorRoles: { scu: true, scp: true } },
          { abstractSyntax: MR_IMAGE, transferSyntaxes: [explicitVrLittleEndian] },
        ],
        onAssociation: (association) =>
          seen.push(association.acceptedContexts.map(({ isScu, isScp }) => [isScu, isScp])),
      },
      {
        presentationContexts: [CT_CONTEXT, { abstractSyntax: MR_IMAGE, transferSyntaxes: [explicitVrLittleEndian] }],
        roles: [
          { sopClassUid: CT_IMAGE, scu: false, scp: true },
          { sopClassUid: MR_IMAGE, scu: true, scp: true },
        ],
      },
    );
    expect(pair.association.acceptedContexts.map(({ isScu, isScp }) => [isScu, isScp])).toEqual([
      [false, true],
      [true, false],
    ]);
    expect(seen).toEqual([
      [
        [true, false],
        [false, true],
      ],
    ]);
  });

  it.each([
    { type: 'username', username: 'müller' },
    { type: 'username-password', username: 'u', password: 'p' },
    { type: 'jwt', token: 'e30.e30.' },
    { type: 'saml', assertion: '<a/>' },
    { type: 'kerberos', ticket: Buffer.from([1, 2, 3]) },
  ] as const)('carries a user identity of type $type and its answer', async (identity) => {
    const requests: AssociationRequest[] = [];
    await using pair = await openPair(
      {
        authorize(request) {
          requests.push(request);
          return { accept: true, userIdentityResponse: Buffer.from('welcome') };
        },
      },
      { userIdentity: { ...identity, positiveResponseRequested: true } },
    );
    expect(requests).toMatchObject([
      { ...AE_TITLES, remoteAddress: '127.0.0.1', userIdentity: { ...identity, positiveResponseRequested: true } },
    ]);
    expect(Buffer.from(pair.association.peer.userIdentityResponse ?? []).toString()).toBe('welcome');
  });

  it('carries extended and common extended negotiation', async () => {
    let peer: unknown;
    await using pair = await openPair(
      { onAssociation: (association) => (peer = association.peer.extendedNegotiation) },
      {
        extendedNegotiation: [{ sopClassUid: CT_IMAGE, applicationInformation: Buffer.from([1, 0, 1]) }],
        commonExtendedNegotiation: [
          { sopClassUid: CT_IMAGE, serviceClassUid: '1.2.840.10008.4.2', relatedGeneralSopClassUids: [MR_IMAGE] },
        ],
      },
    );
    expect(pair.association.hasEnded).toBe(false);
    expect(peer).toEqual([{ sopClassUid: CT_IMAGE, applicationInformation: Buffer.from([1, 0, 1]) }]);
  });

  it('overlaps operations within the window agreed on', async () => {
    let atOnce = 0;
    let max = 0;
    let release: () => void = () => {};
    const three = new Promise<void>((resolve) => {
      release = resolve;
    });
    await using pair = await openPair(
      {
        maxOperationsPerformed: 3,
        handlers: {
          async store(instance) {
            atOnce += 1;
            max = Math.max(max, atOnce);
            if (atOnce === 3) release();
            await instance.dataSet[Symbol.asyncIterator]().return?.();
            await three;
            atOnce -= 1;
            return 0;
          },
        },
      },
      { operationsWindow: { invoked: 8, performed: 1 } },
    );
    expect(pair.association.peer.operationsWindow).toEqual({ invoked: 3, performed: 1 });
    const results = await Promise.all(
      Array.from({ length: 7 }, (_, index) => pair.association.store([opaqueFile(20_000, `2.25.${index}`).file])),
    );
    expect(results.map((result) => result.affectedSopInstanceUid)).toEqual(
      Array.from({ length: 7 }, (_, index) => `2.25.${index}`),
    );
    expect(max).toBe(3);
  });

  it.each([1024, 4096, 16_384, 1_000_000, 0])(
    'fills PDUs up to the %i bytes that a peer accepts, and no more',
    async (maximum) => {
      const { file, dataSet } = opaqueFile(600_000);
      await using peer = await startScriptedPeer(async (connection) => {
        await connection.accept(maximum);
        const { dataSet: got, fragments } = await connection.nextMessage();
        expect(got.equals(dataSet)).toBe(true);
        const size = (maximum === 0 || maximum > 262_144 ? 262_144 : maximum) - 6;
        expect(fragments.slice(0, -1).every((bytes) => bytes === size)).toBe(true);
      });
      const association = await connect({ ...peer, ...AE_TITLES, presentationContexts: [CT_CONTEXT] });
      const stored = association.store([file.subarray(0, 700), file.subarray(700, 90_000), file.subarray(90_000)]);
      stored.catch(() => {});
      await peer.finished();
      association.abort();
    },
  );

  it('rejects PDUs longer than the maximum, and accepts any if it is 0', async () => {
    await using strict = await openPair({ maxPduLengthBytes: 4096 }, { maxSentPduBytes: 1024 });
    expect(strict.association.peer.maxPduLengthBytes).toBe(4096);
    await using open = await openPair(
      { maxPduLengthBytes: 0, handlers: { store: () => 0 } },
      { maxSentPduBytes: 2 ** 21 },
    );
    expect(open.association.peer.maxPduLengthBytes).toBe(0);
    expect(await open.association.store([opaqueFile(3_000_000).file])).toMatchObject({ status: 0 });
  });

  it('names what is wrong with the arguments', async () => {
    const base = { host: '127.0.0.1', port: 1, ...AE_TITLES, presentationContexts: [CT_CONTEXT] };
    const contexts = Array.from({ length: 129 }, () => CT_CONTEXT);
    for (const [options, code] of [
      [{ callingAeTitle: 'much too long a title' }, 'invalid-argument'],
      [{ calledAeTitle: 'back\\slash' }, 'invalid-argument'],
      [{ calledAeTitle: '   ' }, 'invalid-argument'],
      [{ maxPduLengthBytes: 10 }, 'invalid-argument'],
      [{ presentationContexts: [] }, 'invalid-argument'],
      [{ presentationContexts: [{ abstractSyntax: 'CT', transferSyntaxes: ['1'] }] }, 'invalid-argument'],
      [{ presentationContexts: [{ abstractSyntax: '1.2', transferSyntaxes: [] }] }, 'invalid-argument'],
      [{ presentationContexts: contexts }, 'too-many-presentation-contexts'],
      [{ tls: { ca: 'nonsense' } }, 'tls-material'],
    ] as const) {
      await expect(connect({ ...base, ...options }), JSON.stringify(options).slice(0, 60)).rejects.toMatchObject({
        code,
      });
    }
  });
});

describe('more than 128 presentation contexts', () => {
  const contexts = Array.from({ length: 300 }, (_, index) => ({
    abstractSyntax: `1.2.${index}`,
    transferSyntaxes: [explicitVrLittleEndian],
  }));

  it('are split', () => {
    expect(splitPresentationContexts(contexts).map((group) => group.length)).toEqual([128, 128, 44]);
  });

  it('are held by several associations, opened when they are needed', async () => {
    const opened: number[] = [];
    const { server, port } = await listen({
      presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
      onAssociation: (association) => opened.push(association.acceptedContexts.length),
      handlers: { store: () => 0 },
    });
    await using group = connectGroup({ host: '127.0.0.1', port, ...AE_TITLES, presentationContexts: contexts });
    const store = (sopClassUid: string) => group.store([opaqueFile(1000).file], { sopClassUid });
    expect(group.associations).toHaveLength(0);
    const results = await Promise.all(['1.2.0', '1.2.127', '1.2.299', '1.2.256'].map(store));
    expect(results.map((result) => result.sopClassUid)).toEqual(['1.2.0', '1.2.127', '1.2.299', '1.2.256']);
    expect(opened).toEqual([128, 44]);
    await expect(store('1.9')).rejects.toMatchObject({ code: 'no-presentation-context' });
    group.associations[0]?.abort();
    await group.associations[0]?.ended;
    expect((await store('1.2.1')).class).toBe('success');
    expect(opened).toEqual([128, 44, 128]);
    await group.release();
    await expect(store('1.2.1')).rejects.toMatchObject({ code: 'association-ended' });
    await server.close();
  });
});
