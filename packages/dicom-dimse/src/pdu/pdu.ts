/** The seven PDUs of PS3.8 section 9.3, and unrecognised ones, as received. */
export type Pdu =
  | AssociateRqPdu
  | AssociateAcPdu
  | AssociateRjPdu
  | PDataTfPdu
  | ReleaseRqPdu
  | ReleaseRpPdu
  | AbortPdu
  | UnknownPdu;

/** PDU types, PS3.8 tables 9-11 to 9-26, byte 1. */
export const PDU_TYPE = {
  associateRq: 0x01,
  associateAc: 0x02,
  associateRj: 0x03,
  pDataTf: 0x04,
  releaseRq: 0x05,
  releaseRp: 0x06,
  abort: 0x07,
} as const;

interface AssociateFields {
  /** Bit 0 is version 1, the only defined version. */
  readonly protocolVersion: number;
  readonly calledAeTitle: string;
  readonly callingAeTitle: string;
  readonly applicationContextName: string;
  readonly userItems: readonly UserItem[];
  /** Variable items of a type that the Standard does not name, in their order. */
  readonly unknownItems: readonly UnknownItem[];
}

export interface AssociateRqPdu extends AssociateFields {
  readonly type: 'associate-rq';
  readonly presentationContexts: readonly ProposedPresentationContext[];
}

export interface AssociateAcPdu extends AssociateFields {
  readonly type: 'associate-ac';
  readonly presentationContexts: readonly PresentationContextResult[];
}

export interface AssociateRjPdu {
  readonly type: 'associate-rj';
  readonly result: number;
  readonly source: number;
  readonly reason: number;
}

export interface PDataTfPdu {
  readonly type: 'p-data-tf';
  readonly values: readonly PresentationDataValue[];
}

export interface PresentationDataValue {
  readonly contextId: number;
  readonly isCommand: boolean;
  readonly isLast: boolean;
  readonly data: Uint8Array;
}

export interface ReleaseRqPdu {
  readonly type: 'release-rq';
}

export interface ReleaseRpPdu {
  readonly type: 'release-rp';
}

export interface AbortPdu {
  readonly type: 'abort';
  readonly source: number;
  readonly reason: number;
}

export interface UnknownPdu {
  readonly type: 'unknown';
  readonly pduType: number;
  readonly data: Uint8Array;
}

/** PS3.8 table 9-13: the proposal of a requestor. */
export interface ProposedPresentationContext {
  /** Odd, 1 to 255. */
  readonly id: number;
  readonly abstractSyntax: string;
  readonly transferSyntaxes: readonly string[];
}

/** PS3.8 table 9-18: 0 acceptance, 1 user-rejection, 2 no-reason, 3 abstract syntax, 4 transfer syntaxes not supported. */
export interface PresentationContextResult {
  readonly id: number;
  readonly result: number;
  /** Without meaning unless the result is 0; may then be empty. */
  readonly transferSyntax: string;
}

export interface UnknownItem {
  readonly itemType: number;
  readonly data: Uint8Array;
}

/** The sub-items of the User Information item: PS3.8 annex D.1, PS3.7 annex D.3.3. */
export type UserItem =
  | { readonly type: 'maximum-length'; readonly maximumLengthBytes: number }
  | { readonly type: 'implementation-class-uid'; readonly uid: string }
  | { readonly type: 'implementation-version-name'; readonly name: string }
  | {
      readonly type: 'asynchronous-operations-window';
      readonly operationsInvoked: number;
      readonly operationsPerformed: number;
    }
  | {
      readonly type: 'role-selection';
      readonly sopClassUid: string;
      readonly scuRole: boolean;
      readonly scpRole: boolean;
    }
  | {
      readonly type: 'sop-class-extended-negotiation';
      readonly sopClassUid: string;
      readonly applicationInformation: Uint8Array;
    }
  | {
      readonly type: 'sop-class-common-extended-negotiation';
      readonly version: number;
      readonly sopClassUid: string;
      readonly serviceClassUid: string;
      readonly relatedGeneralSopClassUids: readonly string[];
    }
  | {
      readonly type: 'user-identity-rq';
      /** 1 username, 2 username and passcode, 3 Kerberos, 4 SAML, 5 JSON web token. */
      readonly identityType: number;
      readonly positiveResponseRequested: boolean;
      readonly primaryField: Uint8Array;
      readonly secondaryField: Uint8Array;
    }
  | { readonly type: 'user-identity-ac'; readonly serverResponse: Uint8Array }
  | { readonly type: 'unknown'; readonly itemType: number; readonly data: Uint8Array };
