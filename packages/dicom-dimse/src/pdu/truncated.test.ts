import { expect, it } from 'vitest';
import { decodePdu } from './decode-pdu.ts';
import { encodePdu } from './encode-pdu.ts';
import { PDU_TYPE, type AssociateRqPdu } from './pdu.ts';

/** The fields that an error names, one after another, when the bytes end ever later. */
function fieldsThatMayBeCut(bytes: Buffer, decode: (bytes: Buffer) => unknown): string[] {
  const fields = new Set<string>();
  for (let length = 0; length < bytes.length; length += 1) {
    try {
      decode(bytes.subarray(0, length));
    } catch (error) {
      fields.add(/^(.+) needs \d+ bytes; only \d+ are left$/.exec((error as Error).message)?.[1] ?? String(error));
    }
  }
  return [...fields];
}

const request: AssociateRqPdu = {
  type: 'associate-rq',
  protocolVersion: 1,
  calledAeTitle: 'A',
  callingAeTitle: 'B',
  applicationContextName: '1.2',
  presentationContexts: [],
  userItems: [],
  unknownItems: [],
};
const fixed = encodePdu(request).subarray(6, 74);

const length16 = (value: Buffer): Buffer => Buffer.of(value.length >> 8, value.length & 0xff);
const item = (type: number, content: Buffer): Buffer => Buffer.concat([Buffer.of(type, 0), length16(content), content]);
const text = (value: string): Buffer => Buffer.concat([length16(Buffer.from(value)), Buffer.from(value)]);

it.each([
  [
    'A-ASSOCIATE-RQ',
    PDU_TYPE.associateRq,
    Buffer.concat([fixed, item(0x10, Buffer.from('1.2'))]),
    ['Protocol-version', 'reserved', 'Called-AE-title', 'Calling-AE-title', 'item length', 'item 10H'],
  ],
  [
    'A-ASSOCIATE-AC',
    PDU_TYPE.associateAc,
    fixed,
    ['Protocol-version', 'reserved', 'Called-AE-title', 'Calling-AE-title'],
  ],
  ['A-ASSOCIATE-RJ', PDU_TYPE.associateRj, Buffer.alloc(4), ['reserved', 'Result', 'Source', 'Reason/Diag.']],
  ['A-ABORT', PDU_TYPE.abort, Buffer.alloc(4), ['reserved', 'Source', 'Reason/Diag']],
  [
    'P-DATA-TF',
    PDU_TYPE.pDataTf,
    Buffer.from('000000030103aa', 'hex'),
    ['PDV item length', 'Presentation-context-ID', 'message control header', 'Presentation-data-value'],
  ],
])('a %s that ends too early is refused, and its field named', (name, type, body, fields) => {
  expect(fieldsThatMayBeCut(body, (bytes) => decodePdu(type, bytes))).toEqual(
    fields.map((field) => `${name}: ${field}`),
  );
});

it.each([
  [
    PDU_TYPE.associateRq,
    0x20,
    Buffer.concat([Buffer.of(1, 0, 0, 0), item(0x30, Buffer.from('1.2'))]),
    ['Presentation-context-ID', 'reserved', 'sub-item length', 'syntax name'],
  ],
  [
    PDU_TYPE.associateAc,
    0x21,
    Buffer.concat([Buffer.of(1, 0, 0, 0), item(0x40, Buffer.from('1.2'))]),
    ['Presentation-context-ID', 'reserved', 'Result/Reason', 'sub-item length', 'Transfer-syntax-name'],
  ],
])(
  'a presentation context of PDU %i that ends too early is refused, and its field named',
  (type, itemType, content, fields) => {
    const decode = (bytes: Buffer) => decodePdu(type, Buffer.concat([fixed, item(itemType, bytes)]));
    expect(fieldsThatMayBeCut(content, decode)).toEqual(fields.map((field) => `Presentation Context item: ${field}`));
  },
);

it.each([
  [0x51, Buffer.alloc(4), ['Maximum-length-received']],
  [0x53, Buffer.alloc(4), ['Maximum-number-operations-invoked', 'Maximum-number-operations-performed']],
  [0x54, Buffer.concat([text('1.2'), Buffer.of(1, 1)]), ['UID-length', 'SOP-class-uid', 'SCU-role', 'SCP-role']],
  [0x56, text('1.2'), ['SOP-class-uid-length', 'SOP-class-uid']],
  [
    0x57,
    Buffer.concat([text('1.2'), text('1.3'), text('abc')]),
    [
      'SOP-class-uid-length',
      'SOP-class-uid',
      'Service-class-uid-length',
      'Service-class-uid',
      'Related-general-sop-class-identification-length',
      'Related-general-sop-class-identification',
    ],
  ],
  [
    0x58,
    Buffer.concat([Buffer.of(2, 0), text('user'), text('pass')]),
    [
      'User-Identity-Type',
      'Positive-response-requested',
      'Primary-field-length',
      'Primary-field',
      'Secondary-field-length',
      'Secondary-field',
    ],
  ],
  [0x59, text('tkn'), ['Server-response-length', 'Server-response']],
])('a user information sub-item %i that ends too early is refused, and its field named', (type, content, fields) => {
  const decode = (bytes: Buffer) =>
    decodePdu(PDU_TYPE.associateRq, Buffer.concat([fixed, item(0x50, item(type, bytes))]));
  const name = `User Information sub-item ${type.toString(16)}H`;
  expect(fieldsThatMayBeCut(content, decode)).toEqual(fields.map((field) => `${name}: ${field}`));
});

it('a list of related SOP classes that ends too early is refused, and its field named', () => {
  const decode = (bytes: Buffer) => {
    const content = Buffer.concat([text('1.2'), text('1.3'), length16(bytes), bytes]);
    return decodePdu(PDU_TYPE.associateRq, Buffer.concat([fixed, item(0x50, item(0x57, content))]));
  };
  expect(fieldsThatMayBeCut(text('1.41'), decode)).toEqual([
    'Related-general: UID-length',
    'Related-general: Related-general-sop-class-uid',
  ]);
});

it('user information that ends inside a sub-item is refused, and its field named', () => {
  const decode = (bytes: Buffer) => decodePdu(PDU_TYPE.associateRq, Buffer.concat([fixed, item(0x50, bytes)]));
  expect(fieldsThatMayBeCut(item(0x51, Buffer.alloc(4)), decode)).toEqual([
    'User Information item: sub-item reserved byte',
    'User Information item: sub-item length',
    'User Information item: sub-item',
  ]);
});

it('an item that belongs to the other A-ASSOCIATE is kept as unknown', () => {
  const decode = (type: number, itemType: number) =>
    decodePdu(type, Buffer.concat([fixed, item(itemType, Buffer.alloc(4))]));
  expect(decode(PDU_TYPE.associateRq, 0x21)).toMatchObject({
    presentationContexts: [],
    unknownItems: [{ itemType: 0x21 }],
  });
  expect(decode(PDU_TYPE.associateAc, 0x20)).toMatchObject({
    presentationContexts: [],
    unknownItems: [{ itemType: 0x20 }],
  });
});

it('a value of P-DATA without its context and control bytes is refused', () => {
  expect(() => decodePdu(PDU_TYPE.pDataTf, Buffer.from('000000010103', 'hex'))).toThrow(
    'P-DATA-TF: PDV item length 1 is less than 2',
  );
  expect(decodePdu(PDU_TYPE.pDataTf, Buffer.from('000000020102', 'hex'))).toEqual({
    type: 'p-data-tf',
    values: [{ contextId: 1, isCommand: false, isLast: true, data: Buffer.alloc(0) }],
  });
});

it('more user information than its length field allows is refused before it is sent', () => {
  const named = (length: number): AssociateRqPdu => ({
    ...request,
    userItems: [
      { type: 'implementation-version-name', name: 'A'.repeat(65_000) },
      { type: 'implementation-version-name', name: 'A'.repeat(length) },
    ],
  });
  expect(encodePdu(named(527)).length).toBeGreaterThan(65_535);
  expect(() => encodePdu(named(528))).toThrow('would have 65536 bytes; its length field allows 65535');
});

it('an AE title has at most 16 characters', () => {
  const bytes = encodePdu({ ...request, calledAeTitle: 'A'.repeat(17), callingAeTitle: 'B' });
  expect(bytes.toString('latin1', 10, 42)).toBe(`${'A'.repeat(16)}B${' '.repeat(15)}`);
});
