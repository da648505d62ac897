import { DimseError } from '../errors/dimse-error.ts';
import { ByteWriter } from './byte-writer.ts';
import { encodeUserItem } from './encode-user-item.ts';
import { PDU_TYPE } from './pdu.ts';
import type { AssociateAcPdu, AssociateRqPdu, PDataTfPdu, Pdu } from './pdu.ts';

/** Item types of the A-ASSOCIATE PDUs: PS3.8 section 9.3.2 and 9.3.3. */
export const ITEM = {
  applicationContext: 0x10,
  presentationContextRq: 0x20,
  presentationContextAc: 0x21,
  abstractSyntax: 0x30,
  transferSyntax: 0x40,
  userInformation: 0x50,
} as const;

/** Encodes any PDU, with its header (PS3.8 section 9.3). @throws DimseError `invalid-argument` if the user information is too long */
export function encodePdu(pdu: Pdu): Buffer {
  switch (pdu.type) {
    case 'associate-rq':
    case 'associate-ac':
      return frame(pdu.type === 'associate-rq' ? PDU_TYPE.associateRq : PDU_TYPE.associateAc, encodeAssociate(pdu));
    case 'associate-rj':
      return frame(PDU_TYPE.associateRj, new ByteWriter().u8(0).u8(pdu.result).u8(pdu.source).u8(pdu.reason));
    case 'p-data-tf':
      return frame(PDU_TYPE.pDataTf, encodePData(pdu));
    case 'release-rq':
      return frame(PDU_TYPE.releaseRq, new ByteWriter().u32(0));
    case 'release-rp':
      return frame(PDU_TYPE.releaseRp, new ByteWriter().u32(0));
    case 'abort':
      return frame(PDU_TYPE.abort, new ByteWriter().u16(0).u8(pdu.source).u8(pdu.reason));
    case 'unknown':
      return frame(pdu.pduType, new ByteWriter().bytes(pdu.data));
    default:
      return pdu satisfies never;
  }
}

/** Byte 1 PDU-type, byte 2 reserved, bytes 3-6 PDU-length, then the body. */
function frame(type: number, body: ByteWriter): Buffer {
  return new ByteWriter().u8(type).u8(0).u32(body.length).append(body).toBuffer();
}

function encodeAssociate(pdu: AssociateRqPdu | AssociateAcPdu): ByteWriter {
  // Bytes 7-8 Protocol-version, 9-10 reserved, 11-26 Called-AE-title, 27-42 Calling-AE-title, 43-74 reserved.
  const body = new ByteWriter().u16(pdu.protocolVersion).u16(0);
  body.text(padAeTitle(pdu.calledAeTitle)).text(padAeTitle(pdu.callingAeTitle)).bytes(new Uint8Array(32));
  body.item(ITEM.applicationContext, new ByteWriter().text(pdu.applicationContextName));
  if (pdu.type === 'associate-rq') {
    for (const context of pdu.presentationContexts) {
      const content = new ByteWriter().u8(context.id).u8(0).u8(0).u8(0);
      content.item(ITEM.abstractSyntax, new ByteWriter().text(context.abstractSyntax));
      for (const syntax of context.transferSyntaxes) {
        content.item(ITEM.transferSyntax, new ByteWriter().text(syntax));
      }
      body.item(ITEM.presentationContextRq, content);
    }
  } else {
    for (const context of pdu.presentationContexts) {
      const content = new ByteWriter().u8(context.id).u8(0).u8(context.result).u8(0);
      content.item(ITEM.transferSyntax, new ByteWriter().text(context.transferSyntax));
      body.item(ITEM.presentationContextAc, content);
    }
  }
  for (const item of pdu.unknownItems) body.item(item.itemType, new ByteWriter().bytes(item.data));
  const user = new ByteWriter();
  for (const item of pdu.userItems) encodeUserItem(user, item);
  if (user.length > 0xffff) {
    throw new DimseError(
      'invalid-argument',
      `the User Information item would have ${user.length} bytes; its length field allows 65535: negotiate fewer SOP classes per association`,
    );
  }
  return body.item(ITEM.userInformation, user);
}

function encodePData(pdu: PDataTfPdu): ByteWriter {
  const body = new ByteWriter();
  for (const value of pdu.values) {
    // PDV item: length, Presentation-context-ID, message control header (PS3.8 annex E.2), fragment.
    body.u32(value.data.length + 2).u8(value.contextId);
    body.u8((value.isCommand ? 1 : 0) | (value.isLast ? 2 : 0)).bytes(value.data);
  }
  return body;
}

function padAeTitle(title: string): string {
  return title.slice(0, 16).padEnd(16, ' ');
}
