import { ByteReader, invalidPdu } from './byte-reader.ts';
import { decodeUserItems } from './decode-user-item.ts';
import { ITEM } from './encode-pdu.ts';
import { PDU_TYPE } from './pdu.ts';
import type {
  AssociateAcPdu,
  AssociateRqPdu,
  Pdu,
  PresentationContextResult,
  PresentationDataValue,
  ProposedPresentationContext,
  UnknownItem,
  UserItem,
} from './pdu.ts';

/**
 * Decodes one PDU from its type and its body (the bytes after the 6 header bytes).
 * Byte fields of the result are views into `body`.
 *
 * @throws DimseError `protocol-error`, with the reason for the A-ABORT, if a length is inconsistent.
 */
export function decodePdu(type: number, body: Buffer): Pdu {
  switch (type) {
    case PDU_TYPE.associateRq:
    case PDU_TYPE.associateAc:
      return decodeAssociate(type, body);
    case PDU_TYPE.associateRj: {
      const reader = new ByteReader(body, 'A-ASSOCIATE-RJ');
      reader.skip(1, 'reserved');
      return {
        type: 'associate-rj',
        result: reader.u8('Result'),
        source: reader.u8('Source'),
        reason: reader.u8('Reason/Diag.'),
      };
    }
    case PDU_TYPE.pDataTf:
      return { type: 'p-data-tf', values: decodeValues(body) };
    case PDU_TYPE.releaseRq:
      return { type: 'release-rq' };
    case PDU_TYPE.releaseRp:
      return { type: 'release-rp' };
    case PDU_TYPE.abort: {
      const reader = new ByteReader(body, 'A-ABORT');
      reader.skip(2, 'reserved');
      return { type: 'abort', source: reader.u8('Source'), reason: reader.u8('Reason/Diag') };
    }
    default:
      return { type: 'unknown', pduType: type, data: body };
  }
}

function decodeValues(body: Buffer): PresentationDataValue[] {
  const reader = new ByteReader(body, 'P-DATA-TF');
  const values: PresentationDataValue[] = [];
  while (reader.remaining > 0) {
    const length = reader.u32('PDV item length');
    if (length < 2) throw invalidPdu(`P-DATA-TF: PDV item length ${length} is less than 2`);
    const contextId = reader.u8('Presentation-context-ID');
    const control = reader.u8('message control header');
    const data = reader.bytes(length - 2, 'Presentation-data-value');
    values.push({ contextId, isCommand: (control & 1) === 1, isLast: (control & 2) === 2, data });
  }
  return values;
}

function decodeAssociate(type: number, body: Buffer): AssociateRqPdu | AssociateAcPdu {
  const isRequest = type === PDU_TYPE.associateRq;
  const reader = new ByteReader(body, isRequest ? 'A-ASSOCIATE-RQ' : 'A-ASSOCIATE-AC');
  const protocolVersion = reader.u16('Protocol-version');
  reader.skip(2, 'reserved');
  const calledAeTitle = reader.text(16, 'Called-AE-title').trim();
  const callingAeTitle = reader.text(16, 'Calling-AE-title').trim();
  reader.skip(32, 'reserved');

  let applicationContextName = '';
  const proposed: ProposedPresentationContext[] = [];
  const results: PresentationContextResult[] = [];
  const userItems: UserItem[] = [];
  const unknownItems: UnknownItem[] = [];
  while (reader.remaining > 0) {
    const itemType = reader.u8('item type');
    reader.skip(1, 'reserved');
    const data = reader.bytes(reader.u16('item length'), `item ${itemType.toString(16).toUpperCase()}H`);
    if (itemType === ITEM.applicationContext) {
      applicationContextName = new ByteReader(data, 'Application Context').text(data.length, 'name');
    } else if (itemType === ITEM.presentationContextRq && isRequest) {
      proposed.push(decodeProposed(data));
    } else if (itemType === ITEM.presentationContextAc && !isRequest) {
      results.push(decodeResult(data));
    } else if (itemType === ITEM.userInformation) {
      for (const item of decodeUserItems(data)) userItems.push(item);
    } else {
      unknownItems.push({ itemType, data });
    }
  }
  const common = { protocolVersion, calledAeTitle, callingAeTitle, applicationContextName, userItems, unknownItems };
  return isRequest
    ? { type: 'associate-rq', ...common, presentationContexts: proposed }
    : { type: 'associate-ac', ...common, presentationContexts: results };
}

function decodeProposed(data: Buffer): ProposedPresentationContext {
  const reader = new ByteReader(data, 'Presentation Context item');
  const id = reader.u8('Presentation-context-ID');
  reader.skip(3, 'reserved');
  let abstractSyntax = '';
  const transferSyntaxes: string[] = [];
  while (reader.remaining > 0) {
    const itemType = reader.u8('sub-item type');
    reader.skip(1, 'reserved');
    const uid = reader.text(reader.u16('sub-item length'), 'syntax name');
    if (itemType === ITEM.abstractSyntax) abstractSyntax = uid;
    else if (itemType === ITEM.transferSyntax) transferSyntaxes.push(uid);
  }
  return { id, abstractSyntax, transferSyntaxes };
}

function decodeResult(data: Buffer): PresentationContextResult {
  const reader = new ByteReader(data, 'Presentation Context item');
  const id = reader.u8('Presentation-context-ID');
  reader.skip(1, 'reserved');
  const result = reader.u8('Result/Reason');
  reader.skip(1, 'reserved');
  let transferSyntax = '';
  while (reader.remaining > 0) {
    const itemType = reader.u8('sub-item type');
    reader.skip(1, 'reserved');
    const uid = reader.text(reader.u16('sub-item length'), 'Transfer-syntax-name');
    if (itemType === ITEM.transferSyntax) transferSyntax = uid;
  }
  return { id, result, transferSyntax };
}
