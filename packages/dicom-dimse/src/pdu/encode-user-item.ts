import { ByteWriter } from './byte-writer.ts';
import type { UserItem } from './pdu.ts';

/** Item types of the User Information sub-items: PS3.8 annex D.1, PS3.7 annex D.3.3. */
export const USER_ITEM = {
  maximumLength: 0x51,
  implementationClassUid: 0x52,
  asynchronousOperationsWindow: 0x53,
  roleSelection: 0x54,
  implementationVersionName: 0x55,
  sopClassExtendedNegotiation: 0x56,
  sopClassCommonExtendedNegotiation: 0x57,
  userIdentityRq: 0x58,
  userIdentityAc: 0x59,
} as const;

/** Writes one sub-item. Its content is at most 65,535 bytes (the caller checks values of the application). */
export function encodeUserItem(into: ByteWriter, item: UserItem): void {
  const content = new ByteWriter();
  switch (item.type) {
    case 'maximum-length':
      into.item(USER_ITEM.maximumLength, content.u32(item.maximumLengthBytes));
      return;
    case 'implementation-class-uid':
      into.item(USER_ITEM.implementationClassUid, content.text(item.uid));
      return;
    case 'implementation-version-name':
      into.item(USER_ITEM.implementationVersionName, content.text(item.name));
      return;
    case 'asynchronous-operations-window':
      content.u16(item.operationsInvoked).u16(item.operationsPerformed);
      into.item(USER_ITEM.asynchronousOperationsWindow, content);
      return;
    case 'role-selection':
      content
        .text16(item.sopClassUid)
        .u8(item.scuRole ? 1 : 0)
        .u8(item.scpRole ? 1 : 0);
      into.item(USER_ITEM.roleSelection, content);
      return;
    case 'sop-class-extended-negotiation':
      content.text16(item.sopClassUid).bytes(item.applicationInformation);
      into.item(USER_ITEM.sopClassExtendedNegotiation, content);
      return;
    case 'sop-class-common-extended-negotiation': {
      const related = new ByteWriter();
      for (const uid of item.relatedGeneralSopClassUids) related.text16(uid);
      content.text16(item.sopClassUid).text16(item.serviceClassUid).u16(related.length).append(related);
      // Byte 2 of this item is its version, not reserved (PS3.7 table D.3-12).
      into.u8(USER_ITEM.sopClassCommonExtendedNegotiation).u8(item.version).u16(content.length).append(content);
      return;
    }
    case 'user-identity-rq':
      content.u8(item.identityType).u8(item.positiveResponseRequested ? 1 : 0);
      content.bytes16(item.primaryField).bytes16(item.secondaryField);
      into.item(USER_ITEM.userIdentityRq, content);
      return;
    case 'user-identity-ac':
      into.item(USER_ITEM.userIdentityAc, content.bytes16(item.serverResponse));
      return;
    case 'unknown':
      into.item(item.itemType, content.bytes(item.data));
      return;
    default:
      item satisfies never;
  }
}
