import { describe, expect, it } from 'vitest';
import type { AssociateAcPdu, UserItem } from '../pdu/pdu.ts';
import { AE_TITLES, CT_CONTEXT, CT_IMAGE } from '../testing/part10-fixture.ts';
import { IMPLEMENTATION, TRANSFER_SYNTAX } from '../uids.ts';
import { ContextTable } from './contexts.ts';
import { buildRequest, checkAeTitle, readAnswer, type ProposalOptions } from './negotiate.ts';

const EXPLICIT = TRANSFER_SYNTAX.explicitVrLittleEndian;
const MR_IMAGE = '1.2.840.10008.5.1.4.1.1.4';

function request(more: Partial<ProposalOptions> = {}) {
  return buildRequest({ ...AE_TITLES, presentationContexts: [CT_CONTEXT], maxPduLengthBytes: 16_384, ...more });
}

/** The answer of an acceptor; without results it accepts context 1. */
function answer(
  userItems: readonly UserItem[] = [],
  presentationContexts: AssociateAcPdu['presentationContexts'] = [{ id: 1, result: 0, transferSyntax: EXPLICIT }],
): AssociateAcPdu {
  const { applicationContextName } = request();
  const pdu = { type: 'associate-ac', protocolVersion: 1, applicationContextName, unknownItems: [] } as const;
  return { ...pdu, ...AE_TITLES, presentationContexts, userItems };
}

describe('a proposal', () => {
  it('has its user items in the order of their types', () => {
    const { userItems, presentationContexts } = request({
      operationsWindow: { invoked: 3, performed: 2 },
      roles: [{ sopClassUid: CT_IMAGE, scu: false, scp: true }],
      extendedNegotiation: [{ sopClassUid: CT_IMAGE, applicationInformation: Buffer.of(1) }],
      commonExtendedNegotiation: [{ sopClassUid: CT_IMAGE, serviceClassUid: '1.2', relatedGeneralSopClassUids: [] }],
      userIdentity: { type: 'username-password', username: 'u', password: 'p' },
    });
    expect(presentationContexts).toEqual([{ id: 1, ...CT_CONTEXT }]);
    expect(userItems).toEqual([
      { type: 'maximum-length', maximumLengthBytes: 16_384 },
      { type: 'implementation-class-uid', uid: IMPLEMENTATION.classUid },
      { type: 'asynchronous-operations-window', operationsInvoked: 3, operationsPerformed: 2 },
      { type: 'role-selection', sopClassUid: CT_IMAGE, scuRole: false, scpRole: true },
      { type: 'implementation-version-name', name: IMPLEMENTATION.versionName },
      { type: 'sop-class-extended-negotiation', sopClassUid: CT_IMAGE, applicationInformation: Buffer.of(1) },
      {
        type: 'sop-class-common-extended-negotiation',
        version: 0,
        sopClassUid: CT_IMAGE,
        serviceClassUid: '1.2',
        relatedGeneralSopClassUids: [],
      },
      {
        type: 'user-identity-rq',
        identityType: 2,
        positiveResponseRequested: false,
        primaryField: Buffer.from('u'),
        secondaryField: Buffer.from('p'),
      },
    ]);
    expect(request().userItems.map(({ type }) => type)).toEqual([
      'maximum-length',
      'implementation-class-uid',
      'implementation-version-name',
    ]);
  });

  it.each<[string, Partial<ProposalOptions>, string]>([
    ['a role for no UID', { roles: [{ sopClassUid: 'CT', scu: true, scp: true }] }, 'roles.sopClassUid is not a UID'],
    [
      'a user name of 65536 bytes',
      { userIdentity: { type: 'username', username: 'x'.repeat(0x10000) } },
      '65535 bytes',
    ],
    [
      'a password of 65536 bytes',
      { userIdentity: { type: 'username-password', username: 'u', password: 'x'.repeat(0x10000) } },
      '65535 bytes',
    ],
    ['no context', { presentationContexts: [] }, 'presentationContexts is empty'],
    ['129 contexts', { presentationContexts: Array.from({ length: 129 }, () => CT_CONTEXT) }, 'has 129 entries'],
    [
      'a context without a transfer syntax',
      { presentationContexts: [{ abstractSyntax: CT_IMAGE, transferSyntaxes: [] }] },
      'transferSyntaxes is empty',
    ],
    [
      'a transfer syntax that is no UID',
      { presentationContexts: [{ abstractSyntax: CT_IMAGE, transferSyntaxes: [EXPLICIT, 'raw'] }] },
      'transferSyntax is not a UID',
    ],
    [
      'an abstract syntax of 65 characters',
      { presentationContexts: [{ abstractSyntax: '1'.repeat(65), transferSyntaxes: [EXPLICIT] }] },
      'abstractSyntax is not a UID',
    ],
  ])('with %s is refused before anything is sent', (_name, options, words) => {
    expect(() => request(options)).toThrow(words);
  });

  it('may have a user identity of 65535 bytes, and 128 contexts with odd numbers', () => {
    const username = 'x'.repeat(0xffff);
    expect(request({ userIdentity: { type: 'username', username } }).userItems.at(-1)).toMatchObject({
      primaryField: Buffer.from(username),
    });
    const presentationContexts = Array.from({ length: 128 }, () => CT_CONTEXT);
    expect(request({ presentationContexts }).presentationContexts.at(-1)?.id).toBe(255);
  });

  it.each<[string, boolean]>([
    ['A', true],
    ['SIXTEEN_LETTERS_', true],
    ['inner space ~[]', true],
    ['', false],
    [' '.repeat(16), false],
    ['SEVENTEEN_LETTERS', false],
    ['back\\slash', false],
    ['tab\t', false],
    ['\x7f', false],
    ['Ä', false],
  ])('AE title %j: valid %s', (title, isValid) => {
    const check = (): void => checkAeTitle(title, 'calledAeTitle');
    if (isValid) check();
    else expect(check).toThrow('calledAeTitle must have 1 to 16 ASCII characters without backslash');
  });
});

describe('the answer to a proposal', () => {
  it('accepts a context only with a transfer syntax that was proposed for it, and names other reasons', () => {
    const contexts = Array.from({ length: 8 }, () => ({ abstractSyntax: MR_IMAGE, transferSyntaxes: [EXPLICIT] }));
    const results = [0, 1, 2, 3, 4, 5].map((result, index) => ({
      id: 2 * index + 1,
      result,
      transferSyntax: EXPLICIT,
    }));
    const read = readAnswer(
      request({ presentationContexts: contexts }),
      answer(
        [],
        [...results, { id: 13, result: 0, transferSyntax: '1.2.3' }, { id: 99, result: 0, transferSyntax: EXPLICIT }],
      ),
    );
    expect(read.accepted).toEqual([
      { id: 1, abstractSyntax: MR_IMAGE, transferSyntax: EXPLICIT, isScu: true, isScp: false },
    ]);
    expect(read.rejected.map(({ id, reason }) => `${id} ${reason}`)).toEqual([
      '3 user-rejection',
      '5 no-reason',
      '7 abstract-syntax-not-supported',
      '9 transfer-syntaxes-not-supported',
      '11 unknown',
      '13 unknown',
      '15 not-answered',
    ]);
  });

  const role = (scuRole: boolean, scpRole: boolean, sopClassUid = CT_IMAGE): UserItem => ({
    type: 'role-selection',
    sopClassUid,
    scuRole,
    scpRole,
  });

  it.each<[string, [boolean, boolean] | undefined, UserItem[], boolean, [boolean, boolean]]>([
    ['none without a proposal', undefined, [role(true, true)], false, [true, false]],
    ['none without an answer', [false, true], [], false, [true, false]],
    ['those proposed without an answer, if they are assumed', [false, true], [], true, [false, true]],
    ['those that both have named', [true, true], [role(false, true)], false, [false, true]],
    ['no role that was not proposed', [true, false], [role(true, true)], false, [true, false]],
    ['neither', [false, true], [role(true, false)], false, [false, false]],
    ['those of the answer, even if roles are assumed', [true, true], [role(true, false)], true, [true, false]],
    ['none of another class', [true, true], [role(true, true, MR_IMAGE)], false, [true, false]],
  ])('grants roles: %s', (_name, proposed, answered, assumeRoles, expected) => {
    const roles = proposed && [{ sopClassUid: CT_IMAGE, scu: proposed[0], scp: proposed[1] }];
    const [context] = readAnswer(request({ roles }), answer(answered), assumeRoles).accepted;
    expect([context?.isScu, context?.isScp]).toEqual(expected);
  });

  it('has the data of the peer, and those of the Standard where it has none', () => {
    expect(readAnswer(request(), answer()).peer).toEqual({
      aeTitle: AE_TITLES.calledAeTitle,
      maxPduLengthBytes: 0,
      implementationClassUid: undefined,
      implementationVersionName: undefined,
      operationsWindow: { invoked: 1, performed: 1 },
      extendedNegotiation: [],
      roles: [],
      userIdentityResponse: undefined,
    });
    const applicationInformation = Buffer.of(1);
    const read = readAnswer(
      request(),
      answer([
        { type: 'maximum-length', maximumLengthBytes: 4096 },
        { type: 'implementation-class-uid', uid: '1.2.3' },
        { type: 'implementation-version-name', name: 'PEER' },
        { type: 'asynchronous-operations-window', operationsInvoked: 5, operationsPerformed: 0 },
        { type: 'sop-class-extended-negotiation', sopClassUid: CT_IMAGE, applicationInformation },
        role(false, true),
        { type: 'user-identity-ac', serverResponse: Buffer.of(2) },
      ]),
    );
    expect(read.peer).toEqual({
      aeTitle: AE_TITLES.calledAeTitle,
      maxPduLengthBytes: 4096,
      implementationClassUid: '1.2.3',
      implementationVersionName: 'PEER',
      operationsWindow: { invoked: 5, performed: 0 },
      extendedNegotiation: [{ sopClassUid: CT_IMAGE, applicationInformation }],
      roles: [{ sopClassUid: CT_IMAGE, scu: false, scp: true }],
      userIdentityResponse: Buffer.of(2),
    });
  });
});

it('an instance is sent on the first context of its syntaxes in which this end is SCU', () => {
  const accepted = [
    { id: 1, abstractSyntax: CT_IMAGE, transferSyntax: EXPLICIT, isScu: false, isScp: true },
    { id: 3, abstractSyntax: CT_IMAGE, transferSyntax: '1.2', isScu: true, isScp: false },
    { id: 5, abstractSyntax: CT_IMAGE, transferSyntax: EXPLICIT, isScu: true, isScp: true },
    { id: 7, abstractSyntax: CT_IMAGE, transferSyntax: EXPLICIT, isScu: true, isScp: true },
  ];
  const table = new ContextTable(accepted, []);
  expect(table.find(CT_IMAGE, EXPLICIT)?.id).toBe(5);
  expect(table.find(CT_IMAGE, '1.2.3')).toBeUndefined();
  expect(table.find(MR_IMAGE, EXPLICIT)).toBeUndefined();
  expect(table.findAny(CT_IMAGE)?.id).toBe(3);
  expect(table.findAny(MR_IMAGE)).toBeUndefined();
  expect(table.byId(1)).toBe(accepted[0]);
  expect(table.byId(2)).toBeUndefined();
});
