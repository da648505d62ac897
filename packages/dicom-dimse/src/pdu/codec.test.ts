import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryPdu } from '../testing/arbitrary-pdu.ts';
import { decodePdu } from './decode-pdu.ts';
import { encodePdu } from './encode-pdu.ts';
import type { AssociateRqPdu, Pdu } from './pdu.ts';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s+/g, ''), 'hex');
const decode = (bytes: Buffer): Pdu => decodePdu(bytes.readUInt8(0), bytes.subarray(6));

/** An A-ASSOCIATE-RQ with every item of the Standard and an unknown one at each level, written by hand. */
const REQUEST = hex(
  [
    '01 00 0000010e', // A-ASSOCIATE-RQ, 270 bytes follow
    '0001 0000', // protocol version 1, reserved
    '53435020202020202020202020202020', // called "SCP"
    '53435520202020202020202020202020', // calling "SCU"
    '00'.repeat(32),
    '10 00 0015 312e322e3834302e31303030382e332e312e312e31', // application context
    '20 00 002e 01 000000', // context 1
    '30 00 0011 312e322e3834302e31303030382e312e31', // Verification
    '40 00 0011 312e322e3834302e31303030382e312e32', // Implicit VR Little Endian
    '6f 00 0002 abcd', // unknown item 6FH
    '50 00 0075', // user information, 117 bytes
    '51 00 0004 00020000', // maximum length 131072
    '52 00 0005 322e32352e', // class UID, not well formed, kept
    '53 00 0004 0003 0001', // window 3/1
    '54 00 0007 0003 312e32 01 00', // role of 1.2: SCU
    '55 00 0002 4142', // version AB
    '56 00 0008 0003 312e32 010203', // extended negotiation of 1.2
    '57 00 0018 0003 312e32 0003 312e33 000c 0004 312e3431 0004 312e3432',
    '58 00 000f 02 01 0004 75736572 0005 7061737321', // user, pass!
    '59 00 0005 0003 746b6e',
    '7f 00 0003 010203', // unknown sub-item 7FH
  ].join(''),
);

describe('the PDU codec', () => {
  it('reads each field of a request, and writes the same bytes again', () => {
    const bytes = REQUEST;
    expect(bytes.readUInt32BE(2)).toBe(bytes.length - 6);
    const pdu = decode(bytes) as AssociateRqPdu;
    expect(pdu).toMatchObject({
      type: 'associate-rq',
      protocolVersion: 1,
      calledAeTitle: 'SCP',
      callingAeTitle: 'SCU',
      applicationContextName: '1.2.840.10008.3.1.1.1',
      presentationContexts: [{ id: 1, abstractSyntax: '1.2.840.10008.1.1', transferSyntaxes: ['1.2.840.10008.1.2'] }],
      unknownItems: [{ itemType: 0x6f, data: hex('abcd') }],
    });
    expect(pdu.userItems).toEqual([
      { type: 'maximum-length', maximumLengthBytes: 131_072 },
      { type: 'implementation-class-uid', uid: '2.25.' },
      { type: 'asynchronous-operations-window', operationsInvoked: 3, operationsPerformed: 1 },
      { type: 'role-selection', sopClassUid: '1.2', scuRole: true, scpRole: false },
      { type: 'implementation-version-name', name: 'AB' },
      { type: 'sop-class-extended-negotiation', sopClassUid: '1.2', applicationInformation: hex('010203') },
      {
        type: 'sop-class-common-extended-negotiation',
        version: 0,
        sopClassUid: '1.2',
        serviceClassUid: '1.3',
        relatedGeneralSopClassUids: ['1.41', '1.42'],
      },
      {
        type: 'user-identity-rq',
        identityType: 2,
        positiveResponseRequested: true,
        primaryField: Buffer.from('user'),
        secondaryField: Buffer.from('pass!'),
      },
      { type: 'user-identity-ac', serverResponse: Buffer.from('tkn') },
      { type: 'unknown', itemType: 0x7f, data: hex('010203') },
    ]);
    expect(encodePdu(pdu).equals(bytes)).toBe(true);
  });

  it.each([
    ['A-ASSOCIATE-RJ', '030000000004 00 01 01 07', { type: 'associate-rj', result: 1, source: 1, reason: 7 }],
    ['A-RELEASE-RQ', '050000000004 00000000', { type: 'release-rq' }],
    ['A-RELEASE-RP', '060000000004 00000000', { type: 'release-rp' }],
    ['A-ABORT', '070000000004 0000 02 06', { type: 'abort', source: 2, reason: 6 }],
    [
      'P-DATA-TF with two values',
      '04000000000f 00000003 01 03 aa 00000004 03 00 bbcc',
      {
        type: 'p-data-tf',
        values: [
          { contextId: 1, isCommand: true, isLast: true, data: hex('aa') },
          { contextId: 3, isCommand: false, isLast: false, data: hex('bbcc') },
        ],
      },
    ],
    ['an unknown type', '2a0000000002 0102', { type: 'unknown', pduType: 0x2a, data: hex('0102') }],
  ])('knows %s', (_name, text, pdu) => {
    const bytes = hex(text);
    expect(decode(bytes)).toEqual(pdu);
    expect(encodePdu(decode(bytes)).equals(bytes)).toBe(true);
  });

  it('drops the padding that some peers put on UIDs', () => {
    const bytes = encodePdu({
      ...(decode(encodePdu(SMALL)) as AssociateRqPdu),
      applicationContextName: '1.2.840.10008.3.1.1.1\0',
    });
    expect((decode(bytes) as AssociateRqPdu).applicationContextName).toBe('1.2.840.10008.3.1.1.1');
  });

  it('names the field whose length does not add up', () => {
    const bytes = encodePdu(SMALL);
    bytes.writeUInt16BE(0xffff, 76);
    expect(() => decode(bytes)).toThrowError(/A-ASSOCIATE-RQ: item 10H needs 65535 bytes/);
    expect(() => decode(hex('040000000006 00000009 01 03'))).toThrowError(/Presentation-data-value needs 7 bytes/);
  });

  it('decodes everything that it encodes', () => {
    fc.assert(
      fc.property(arbitraryPdu, (pdu) => {
        expect(decode(encodePdu(pdu))).toEqual(pdu);
      }),
      { numRuns: 500, seed: 20_261_121 },
    );
  });
});

const SMALL: AssociateRqPdu = {
  type: 'associate-rq',
  protocolVersion: 1,
  calledAeTitle: 'A',
  callingAeTitle: 'B',
  applicationContextName: '1.2',
  presentationContexts: [],
  userItems: [],
  unknownItems: [],
};
