import { ByteReader } from './byte-reader.ts';
import { USER_ITEM } from './encode-user-item.ts';
import type { UserItem } from './pdu.ts';

/** Reads the sub-items of a User Information item; sub-items of an unknown type are kept. */
export function decodeUserItems(bytes: Buffer): UserItem[] {
  const reader = new ByteReader(bytes, 'User Information item');
  const items: UserItem[] = [];
  while (reader.remaining > 0) {
    const itemType = reader.u8('sub-item type');
    const second = reader.u8('sub-item reserved byte');
    const data = reader.bytes(reader.u16('sub-item length'), 'sub-item');
    items.push(decodeUserItem(itemType, second, data));
  }
  return items;
}

function decodeUserItem(itemType: number, second: number, data: Buffer): UserItem {
  const reader = new ByteReader(data, `User Information sub-item ${itemType.toString(16).toUpperCase()}H`);
  switch (itemType) {
    case USER_ITEM.maximumLength:
      return { type: 'maximum-length', maximumLengthBytes: reader.u32('Maximum-length-received') };
    case USER_ITEM.implementationClassUid:
      return { type: 'implementation-class-uid', uid: reader.text(data.length, 'Implementation-class-uid') };
    case USER_ITEM.implementationVersionName:
      return { type: 'implementation-version-name', name: reader.text(data.length, 'Implementation-version-name') };
    case USER_ITEM.asynchronousOperationsWindow:
      return {
        type: 'asynchronous-operations-window',
        operationsInvoked: reader.u16('Maximum-number-operations-invoked'),
        operationsPerformed: reader.u16('Maximum-number-operations-performed'),
      };
    case USER_ITEM.roleSelection:
      return {
        type: 'role-selection',
        sopClassUid: reader.text(reader.u16('UID-length'), 'SOP-class-uid'),
        scuRole: reader.u8('SCU-role') === 1,
        scpRole: reader.u8('SCP-role') === 1,
      };
    case USER_ITEM.sopClassExtendedNegotiation:
      return {
        type: 'sop-class-extended-negotiation',
        sopClassUid: reader.text(reader.u16('SOP-class-uid-length'), 'SOP-class-uid'),
        applicationInformation: reader.rest(),
      };
    case USER_ITEM.sopClassCommonExtendedNegotiation:
      return {
        type: 'sop-class-common-extended-negotiation',
        version: second,
        sopClassUid: reader.text(reader.u16('SOP-class-uid-length'), 'SOP-class-uid'),
        serviceClassUid: reader.text(reader.u16('Service-class-uid-length'), 'Service-class-uid'),
        relatedGeneralSopClassUids: decodeRelated(reader),
      };
    case USER_ITEM.userIdentityRq:
      return {
        type: 'user-identity-rq',
        identityType: reader.u8('User-Identity-Type'),
        positiveResponseRequested: reader.u8('Positive-response-requested') === 1,
        primaryField: reader.bytes(reader.u16('Primary-field-length'), 'Primary-field'),
        secondaryField: reader.bytes(reader.u16('Secondary-field-length'), 'Secondary-field'),
      };
    case USER_ITEM.userIdentityAc:
      return {
        type: 'user-identity-ac',
        serverResponse: reader.bytes(reader.u16('Server-response-length'), 'Server-response'),
      };
    default:
      return { type: 'unknown', itemType, data };
  }
}

function decodeRelated(item: ByteReader): string[] {
  const length = item.u16('Related-general-sop-class-identification-length');
  const reader = new ByteReader(item.bytes(length, 'Related-general-sop-class-identification'), 'Related-general');
  const uids: string[] = [];
  while (reader.remaining > 0) uids.push(reader.text(reader.u16('UID-length'), 'Related-general-sop-class-uid'));
  return uids;
}
