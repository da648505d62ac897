import * as fc from 'fast-check';
import type { Pdu, UserItem } from '../pdu/pdu.ts';

const byte = fc.integer({ min: 0, max: 0xff });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const uid = fc.stringMatching(/^[0-9][0-9.]{0,62}[0-9]$/);
const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.stringMatching(/^[A-Z0-9_ ]*$/, { maxLength }).map((value) => value.trim());
const isKnown = new Set([0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59]);

const userItem: fc.Arbitrary<UserItem> = fc.oneof(
  fc.record({ type: fc.constant('maximum-length' as const), maximumLengthBytes: uint32 }),
  fc.record({ type: fc.constant('implementation-class-uid' as const), uid }),
  fc.record({ type: fc.constant('implementation-version-name' as const), name: text(16) }),
  fc.record({
    type: fc.constant('asynchronous-operations-window' as const),
    operationsInvoked: uint16,
    operationsPerformed: uint16,
  }),
  fc.record({
    type: fc.constant('role-selection' as const),
    sopClassUid: uid,
    scuRole: fc.boolean(),
    scpRole: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('sop-class-extended-negotiation' as const),
    sopClassUid: uid,
    applicationInformation: bytes(20),
  }),
  fc.record({
    type: fc.constant('sop-class-common-extended-negotiation' as const),
    version: byte,
    sopClassUid: uid,
    serviceClassUid: uid,
    relatedGeneralSopClassUids: fc.array(uid, { maxLength: 3 }),
  }),
  fc.record({
    type: fc.constant('user-identity-rq' as const),
    identityType: byte,
    positiveResponseRequested: fc.boolean(),
    primaryField: bytes(40),
    secondaryField: bytes(40),
  }),
  fc.record({ type: fc.constant('user-identity-ac' as const), serverResponse: bytes(40) }),
  fc.record({
    type: fc.constant('unknown' as const),
    itemType: byte.filter((type) => !isKnown.has(type)),
    data: bytes(40),
  }),
);

const associate = {
  protocolVersion: uint16,
  calledAeTitle: text(16),
  callingAeTitle: text(16),
  applicationContextName: uid,
  userItems: fc.array(userItem, { maxLength: 8 }),
  unknownItems: fc.array(fc.record({ itemType: fc.constantFrom(0x00, 0x11, 0x22, 0x60, 0xff), data: bytes(30) }), {
    maxLength: 2,
  }),
};

/** Any PDU that the types allow and the wire can carry. */
export const arbitraryPdu: fc.Arbitrary<Pdu> = fc.oneof(
  fc.record({
    type: fc.constant('associate-rq' as const),
    ...associate,
    presentationContexts: fc.array(
      fc.record({ id: byte, abstractSyntax: uid, transferSyntaxes: fc.array(uid, { minLength: 1, maxLength: 4 }) }),
      { maxLength: 6 },
    ),
  }),
  fc.record({
    type: fc.constant('associate-ac' as const),
    ...associate,
    presentationContexts: fc.array(fc.record({ id: byte, result: byte, transferSyntax: uid }), { maxLength: 6 }),
  }),
  fc.record({ type: fc.constant('associate-rj' as const), result: byte, source: byte, reason: byte }),
  fc.record({
    type: fc.constant('p-data-tf' as const),
    values: fc.array(fc.record({ contextId: byte, isCommand: fc.boolean(), isLast: fc.boolean(), data: bytes(60) }), {
      minLength: 1,
      maxLength: 4,
    }),
  }),
  fc.record({ type: fc.constant('release-rq' as const) }),
  fc.record({ type: fc.constant('release-rp' as const) }),
  fc.record({ type: fc.constant('abort' as const), source: byte, reason: byte }),
);
