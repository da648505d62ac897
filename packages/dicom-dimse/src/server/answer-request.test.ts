import { describe, expect, it } from 'vitest';
import type { AssociateRqPdu, UserItem } from '../pdu/pdu.ts';
import { AE_TITLES, CT_IMAGE } from '../testing/part10-fixture.ts';
import { IMPLEMENTATION, TRANSFER_SYNTAX, UID } from '../uids.ts';
import type { AcceptorOptions } from './accept-association.ts';
import { answerRequest } from './answer-request.ts';

const { explicitVrLittleEndian: explicit, implicitVrLittleEndian: implicit, jpegBaseline: jpeg } = TRANSFER_SYNTAX;
const MR_IMAGE = '1.2.840.10008.5.1.4.1.1.4';

function answer(
  contexts: readonly [abstractSyntax: string, ...transferSyntaxes: string[]][],
  presentationContexts: AcceptorOptions['presentationContexts'],
  userItems: readonly UserItem[] = [],
  more: Partial<AcceptorOptions> = {},
) {
  const pdu: AssociateRqPdu = {
    type: 'associate-rq',
    protocolVersion: 1,
    ...AE_TITLES,
    applicationContextName: UID.applicationContext,
    presentationContexts: contexts.map(([abstractSyntax, ...transferSyntaxes], index) => ({
      id: 2 * index + 1,
      abstractSyntax,
      transferSyntaxes,
    })),
    userItems,
    unknownItems: [],
  };
  return answerRequest(pdu, { presentationContexts, maxPduLengthBytes: 16_384, ...more });
}

describe('presentation contexts', () => {
  const list = [
    { abstractSyntax: CT_IMAGE, transferSyntaxes: [jpeg] },
    { abstractSyntax: CT_IMAGE, transferSyntaxes: [explicit, implicit] },
  ];

  it('of a list are accepted in the order of the list, and rejected with the reason of the Standard', () => {
    const { pdu, accepted, rejected } = answer(
      [
        [CT_IMAGE, implicit, explicit],
        [CT_IMAGE, implicit, jpeg],
        [CT_IMAGE, TRANSFER_SYNTAX.rleLossless],
        [MR_IMAGE, explicit, implicit],
        [UID.verification, implicit, explicit],
      ],
      list,
    );
    const sent = pdu(undefined);
    expect(sent.presentationContexts).toEqual([
      { id: 1, result: 0, transferSyntax: explicit },
      { id: 3, result: 0, transferSyntax: jpeg },
      { id: 5, result: 4, transferSyntax: TRANSFER_SYNTAX.rleLossless },
      { id: 7, result: 3, transferSyntax: explicit },
      { id: 9, result: 0, transferSyntax: explicit },
    ]);
    expect(accepted.map(({ id, transferSyntax }) => [id, transferSyntax])).toEqual([
      [1, explicit],
      [3, jpeg],
      [9, explicit],
    ]);
    expect(rejected).toEqual([
      {
        id: 5,
        abstractSyntax: CT_IMAGE,
        transferSyntaxes: [TRANSFER_SYNTAX.rleLossless],
        reason: 'transfer-syntaxes-not-supported',
      },
      {
        id: 7,
        abstractSyntax: MR_IMAGE,
        transferSyntaxes: [explicit, implicit],
        reason: 'abstract-syntax-not-supported',
      },
    ]);
    expect(sent).toMatchObject({ type: 'associate-ac', protocolVersion: 1, ...AE_TITLES, unknownItems: [] });
    expect(sent.applicationContextName).toBe(UID.applicationContext);
  });

  it('of a function are accepted only with a proposed transfer syntax; Verification is always accepted', () => {
    const asked: string[] = [];
    const { pdu } = answer(
      [
        [CT_IMAGE, implicit, explicit],
        [MR_IMAGE, implicit],
        [MR_IMAGE, explicit],
        [UID.verification, implicit],
        [UID.verification, jpeg],
      ],
      ({ abstractSyntax, transferSyntaxes }) => {
        asked.push(abstractSyntax);
        return abstractSyntax === CT_IMAGE ? explicit : transferSyntaxes.includes(explicit) ? implicit : undefined;
      },
    );
    expect(pdu(undefined).presentationContexts.map(({ result }) => result)).toEqual([0, 3, 3, 0, 4]);
    expect(asked).toEqual([CT_IMAGE, MR_IMAGE, MR_IMAGE]);
  });
});

describe('roles', () => {
  const role = (scuRole: boolean, scpRole: boolean): UserItem => ({
    type: 'role-selection',
    sopClassUid: CT_IMAGE,
    scuRole,
    scpRole,
  });

  it.each<[string, UserItem[], { scu: boolean; scp: boolean } | undefined, [boolean, boolean], [boolean, boolean][]]>([
    ['those of the Standard without a proposal', [], { scu: true, scp: true }, [false, true], []],
    ['SCU only by default', [role(true, true)], undefined, [false, true], [[true, false]]],
    ['all that are allowed', [role(true, true)], { scu: true, scp: true }, [true, true], [[true, true]]],
    ['only those that are proposed', [role(false, true)], { scu: true, scp: true }, [true, false], [[false, true]]],
    ['none that is not allowed', [role(true, true)], { scu: false, scp: true }, [true, false], [[false, true]]],
  ])('are granted: %s', (_name, items, requestorRoles, ours, sent) => {
    const list = [{ abstractSyntax: CT_IMAGE, transferSyntaxes: [explicit, jpeg], requestorRoles }];
    const contexts: [string, ...string[]][] = [
      [CT_IMAGE, explicit],
      [CT_IMAGE, jpeg],
    ];
    const { accepted, pdu } = answer(contexts, list, items);
    // The SCU of the requestor is our SCP.
    expect(accepted.map(({ isScu, isScp }) => [isScu, isScp])).toEqual([ours, ours]);
    const granted = pdu(undefined).userItems.flatMap((item) =>
      item.type === 'role-selection' ? [[item.scuRole, item.scpRole]] : [],
    );
    // Once for each class.
    expect(granted).toEqual(sent);
  });

  it('of a function are those that are proposed', () => {
    const { accepted } = answer([[CT_IMAGE, explicit]], () => explicit, [role(false, true)]);
    expect(accepted).toMatchObject([{ isScu: true, isScp: false }]);
  });
});

describe('the operations window', () => {
  it.each<[number, number, number]>([
    [8, 1, 1],
    [2, 4, 2],
    [0, 4, 4],
    [8, 0, 8],
    [0, 0, 0],
  ])('of %i proposed and %i performed operations is %i', (operationsInvoked, maxOperationsPerformed, expected) => {
    const item: UserItem = { type: 'asynchronous-operations-window', operationsInvoked, operationsPerformed: 9 };
    const { peer, pdu } = answer([], [], [item], { maxOperationsPerformed });
    const sent = { type: 'asynchronous-operations-window', operationsInvoked: expected, operationsPerformed: 1 };
    expect(pdu(undefined).userItems).toContainEqual(sent);
    expect(peer.operationsWindow).toEqual({ invoked: 1, performed: expected });
  });

  it('is 1 if it is not configured, and is not sent if none is proposed', () => {
    const item: UserItem = { type: 'asynchronous-operations-window', operationsInvoked: 5, operationsPerformed: 5 };
    expect(answer([], [], [item]).peer.operationsWindow).toEqual({ invoked: 1, performed: 1 });
    const { peer, pdu } = answer([], [], [], { maxOperationsPerformed: 4 });
    expect(peer.operationsWindow).toEqual({ invoked: 1, performed: 1 });
    expect(pdu(undefined).userItems).toEqual([
      { type: 'maximum-length', maximumLengthBytes: 16_384 },
      { type: 'implementation-class-uid', uid: IMPLEMENTATION.classUid },
      { type: 'implementation-version-name', name: IMPLEMENTATION.versionName },
    ]);
  });
});

describe('a user identity', () => {
  const identity = (identityType: number, positiveResponseRequested: boolean): UserItem => ({
    type: 'user-identity-rq',
    identityType,
    positiveResponseRequested,
    primaryField: Buffer.from('first'),
    secondaryField: Buffer.from('second'),
  });

  it.each<[number, object | undefined]>([
    [1, { type: 'username', username: 'first' }],
    [2, { type: 'username-password', username: 'first', password: 'second' }],
    [3, { type: 'kerberos', ticket: Buffer.from('first') }],
    [4, { type: 'saml', assertion: 'first' }],
    [5, { type: 'jwt', token: 'first' }],
    [6, undefined],
  ])('of type %i is read', (type, expected) => {
    const { request } = answer([], [], [identity(type, false)]);
    expect(request).toMatchObject(AE_TITLES);
    expect(request.userIdentity).toEqual(expected && { ...expected, positiveResponseRequested: false });
    expect(answer([], []).request.userIdentity).toBeUndefined();
  });

  it('is answered only if this was requested', () => {
    const answers = (isRequested: boolean, response?: Buffer): UserItem[] =>
      answer([], [], [identity(1, isRequested)])
        .pdu(response)
        .userItems.filter(({ type }) => type === 'user-identity-ac');
    expect(answers(false, Buffer.of(1))).toEqual([]);
    expect(answers(true, Buffer.of(1))).toEqual([{ type: 'user-identity-ac', serverResponse: Buffer.of(1) }]);
    expect(answers(true)).toEqual([{ type: 'user-identity-ac', serverResponse: new Uint8Array(0) }]);
  });
});
