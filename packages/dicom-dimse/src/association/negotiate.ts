import { DimseError } from '../errors/dimse-error.ts';
import type { AssociateAcPdu, AssociateRqPdu, PresentationContextResult, UserItem } from '../pdu/pdu.ts';
import { IMPLEMENTATION, UID } from '../uids.ts';
import { checkUid, numberContexts } from './contexts.ts';
import type { AcceptedContext, PresentationContextRequest, RejectedContext } from './contexts.ts';

/** SCP/SCU role selection: PS3.7 annex D.3.3.4. Without one, the requestor is SCU and the acceptor SCP. */
export interface RoleSelection {
  readonly sopClassUid: string;
  readonly scu: boolean;
  readonly scp: boolean;
}

/** SOP class extended negotiation: PS3.7 annex D.3.3.5. The service class defines the bytes. */
export interface ExtendedNegotiation {
  readonly sopClassUid: string;
  readonly applicationInformation: Uint8Array;
}

/** SOP class common extended negotiation: PS3.7 annex D.3.3.6. */
export interface CommonExtendedNegotiation {
  readonly sopClassUid: string;
  readonly serviceClassUid: string;
  readonly relatedGeneralSopClassUids: readonly string[];
}

/** User identity: PS3.7 annex D.3.3.7. */
export type UserIdentity = { readonly positiveResponseRequested?: boolean | undefined } & (
  | { readonly type: 'username'; readonly username: string }
  | { readonly type: 'username-password'; readonly username: string; readonly password: string }
  | { readonly type: 'kerberos'; readonly ticket: Uint8Array }
  | { readonly type: 'saml'; readonly assertion: string }
  | { readonly type: 'jwt'; readonly token: string }
);

/** Asynchronous operations window: PS3.7 annex D.3.3.3. 0 is unlimited. */
export interface OperationsWindow {
  readonly invoked: number;
  readonly performed: number;
}

export interface ProposalOptions {
  readonly callingAeTitle: string;
  readonly calledAeTitle: string;
  readonly presentationContexts: readonly PresentationContextRequest[];
  readonly maxPduLengthBytes: number;
  readonly roles?: readonly RoleSelection[] | undefined;
  readonly extendedNegotiation?: readonly ExtendedNegotiation[] | undefined;
  readonly commonExtendedNegotiation?: readonly CommonExtendedNegotiation[] | undefined;
  readonly userIdentity?: UserIdentity | undefined;
  readonly operationsWindow?: OperationsWindow | undefined;
  /**
   * Assumes proposed roles if the acceptor does not respond to the proposal, as some archives do that nevertheless send by
   * C-GET. According to the Standard the requestor is then SCU only, which is the default.
   */
  readonly assumeRoles?: boolean | undefined;
}

/** Builds an A-ASSOCIATE-RQ. @throws DimseError `invalid-argument`, `too-many-presentation-contexts`. */
export function buildRequest(options: ProposalOptions): AssociateRqPdu {
  checkAeTitle(options.callingAeTitle, 'callingAeTitle');
  checkAeTitle(options.calledAeTitle, 'calledAeTitle');
  return {
    type: 'associate-rq',
    protocolVersion: 1,
    calledAeTitle: options.calledAeTitle,
    callingAeTitle: options.callingAeTitle,
    applicationContextName: UID.applicationContext,
    presentationContexts: numberContexts(options.presentationContexts),
    userItems: userItems(options),
    unknownItems: [],
  };
}

/** PS3.5 section 6.2, AE: 1 to 16 characters, no control character, no backslash, not only spaces. */
export function checkAeTitle(title: string, field: string): void {
  if (!/^[\x20-\x5b\x5d-\x7e]{1,16}$/.test(title) || title.trim() === '') {
    throw new DimseError('invalid-argument', `${field} must have 1 to 16 ASCII characters without backslash`);
  }
}

/** Maximum length and implementation class UID: PS3.7 annex D.3.3.1 and D.3.3.2. */
export function baseUserItems(maxPduLengthBytes: number): UserItem[] {
  return [
    { type: 'maximum-length', maximumLengthBytes: maxPduLengthBytes },
    { type: 'implementation-class-uid', uid: IMPLEMENTATION.classUid },
  ];
}

function userItems(options: ProposalOptions): UserItem[] {
  const items = baseUserItems(options.maxPduLengthBytes);
  // Sub-items in the order of their types, as some peers expect.
  const { operationsWindow, userIdentity } = options;
  if (operationsWindow !== undefined) {
    items.push({
      type: 'asynchronous-operations-window',
      operationsInvoked: operationsWindow.invoked,
      operationsPerformed: operationsWindow.performed,
    });
  }
  for (const { sopClassUid, scu, scp } of options.roles ?? []) {
    checkUid(sopClassUid, 'roles.sopClassUid');
    items.push({ type: 'role-selection', sopClassUid, scuRole: scu, scpRole: scp });
  }
  items.push({ type: 'implementation-version-name', name: IMPLEMENTATION.versionName });
  for (const { sopClassUid, applicationInformation } of options.extendedNegotiation ?? []) {
    items.push({ type: 'sop-class-extended-negotiation', sopClassUid, applicationInformation });
  }
  for (const common of options.commonExtendedNegotiation ?? []) {
    items.push({ type: 'sop-class-common-extended-negotiation', version: 0, ...common });
  }
  if (userIdentity !== undefined) items.push(identityItem(userIdentity));
  return items;
}

function identityItem(identity: UserIdentity): UserItem {
  const [identityType, primary, secondary] = identityFields(identity);
  const primaryField = Buffer.from(primary);
  const secondaryField = Buffer.from(secondary);
  if (primaryField.length > 0xffff || secondaryField.length > 0xffff) {
    throw new DimseError('invalid-argument', 'userIdentity: a field is longer than 65535 bytes');
  }
  return {
    type: 'user-identity-rq',
    identityType,
    positiveResponseRequested: identity.positiveResponseRequested ?? false,
    primaryField,
    secondaryField,
  };
}

function identityFields(identity: UserIdentity): readonly [number, string | Uint8Array, string] {
  switch (identity.type) {
    case 'username':
      return [1, identity.username, ''];
    case 'username-password':
      return [2, identity.username, identity.password];
    case 'kerberos':
      return [3, identity.ticket, ''];
    case 'saml':
      return [4, identity.assertion, ''];
    case 'jwt':
      return [5, identity.token, ''];
    default:
      return identity satisfies never;
  }
}

/** The result of a negotiation, from the perspective of this end. */
export interface Negotiated {
  readonly accepted: readonly AcceptedContext[];
  readonly rejected: readonly RejectedContext[];
  readonly peer: PeerInformation;
}

/** Implementation data of the peer. */
export interface PeerInformation {
  readonly aeTitle: string;
  /** 0 is unlimited. */
  readonly maxPduLengthBytes: number;
  readonly implementationClassUid: string | undefined;
  readonly implementationVersionName: string | undefined;
  /** The negotiated window, from the perspective of this end: what it may invoke, what it must perform. */
  readonly operationsWindow: OperationsWindow;
  readonly extendedNegotiation: readonly ExtendedNegotiation[];
  /** The acceptor's response to our role selection; for an acceptor: the proposal of the requestor. */
  readonly roles: readonly RoleSelection[];
  /** Set if the acceptor responded to a user identity. */
  readonly userIdentityResponse: Uint8Array | undefined;
}

export function readUserItem<T extends UserItem['type']>(
  items: readonly UserItem[],
  type: T,
): Extract<UserItem, { type: T }> | undefined {
  return items.find((item): item is Extract<UserItem, { type: T }> => item.type === type);
}

const REASONS: readonly RejectedContext['reason'][] = [
  'unknown',
  'user-rejection',
  'no-reason',
  'abstract-syntax-not-supported',
  'transfer-syntaxes-not-supported',
];

/** Evaluates the acceptor's response for the proposal. */
export function readAnswer(request: AssociateRqPdu, answer: AssociateAcPdu, assumeRoles = false): Negotiated {
  const results = new Map(answer.presentationContexts.map((result) => [result.id, result]));
  const accepted: AcceptedContext[] = [];
  const rejected: RejectedContext[] = [];
  for (const { id, abstractSyntax, transferSyntaxes } of request.presentationContexts) {
    const result = results.get(id);
    if (result !== undefined && result.result === 0 && transferSyntaxes.includes(result.transferSyntax)) {
      const [isScu, isScp] = agreedRoles(request.userItems, answer.userItems, abstractSyntax, assumeRoles);
      accepted.push({ id, abstractSyntax, transferSyntax: result.transferSyntax, isScu, isScp });
    } else {
      rejected.push({ id, abstractSyntax, transferSyntaxes, reason: whyRejected(result) });
    }
  }
  const window = readUserItem(answer.userItems, 'asynchronous-operations-window');
  return {
    accepted,
    rejected,
    peer: {
      ...readPeer(answer.userItems),
      aeTitle: request.calledAeTitle,
      // Without a response the window is 1 (PS3.7 annex D.3.3.3).
      operationsWindow: { invoked: window?.operationsInvoked ?? 1, performed: window?.operationsPerformed ?? 1 },
    },
  };
}

function whyRejected(result: PresentationContextResult | undefined): RejectedContext['reason'] {
  if (result === undefined) return 'not-answered';
  return REASONS[result.result] ?? 'unknown';
}

/** The requestor's roles: those requested and granted; SCU only without a request or response. */
function agreedRoles(
  asked: readonly UserItem[],
  answered: readonly UserItem[],
  uid: string,
  assumeRoles: boolean,
): [boolean, boolean] {
  const isFor = (item: UserItem): item is Extract<UserItem, { type: 'role-selection' }> =>
    item.type === 'role-selection' && item.sopClassUid === uid;
  const proposal = asked.find(isFor);
  const answer = answered.find(isFor);
  if (proposal !== undefined && answer === undefined && assumeRoles) return [proposal.scuRole, proposal.scpRole];
  if (proposal === undefined || answer === undefined) return [true, false];
  return [proposal.scuRole && answer.scuRole, proposal.scpRole && answer.scpRole];
}

export function readPeer(items: readonly UserItem[]): Omit<PeerInformation, 'aeTitle' | 'operationsWindow'> {
  return {
    maxPduLengthBytes: readUserItem(items, 'maximum-length')?.maximumLengthBytes ?? 0,
    implementationClassUid: readUserItem(items, 'implementation-class-uid')?.uid,
    implementationVersionName: readUserItem(items, 'implementation-version-name')?.name,
    extendedNegotiation: items.flatMap((item) =>
      item.type === 'sop-class-extended-negotiation'
        ? [{ sopClassUid: item.sopClassUid, applicationInformation: item.applicationInformation }]
        : [],
    ),
    roles: items.flatMap((item) =>
      item.type === 'role-selection' ? [{ sopClassUid: item.sopClassUid, scu: item.scuRole, scp: item.scpRole }] : [],
    ),
    userIdentityResponse: readUserItem(items, 'user-identity-ac')?.serverResponse,
  };
}
