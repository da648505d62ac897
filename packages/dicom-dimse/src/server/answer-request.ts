import type { Socket } from 'node:net';
import type { AcceptedContext, RejectedContext } from '../association/contexts.ts';
import { baseUserItems, readPeer, readUserItem } from '../association/negotiate.ts';
import type { PeerInformation, UserIdentity } from '../association/negotiate.ts';
import type {
  AssociateAcPdu,
  AssociateRqPdu,
  PresentationContextResult,
  ProposedPresentationContext,
  UserItem,
} from '../pdu/pdu.ts';
import type { REJECTIONS } from '../pdu/reasons.ts';
import { IMPLEMENTATION, TRANSFER_SYNTAX, UID } from '../uids.ts';
import type { AcceptorOptions } from './accept-association.ts';

/** An abstract syntax that this end serves, with the accepted transfer syntaxes, in order of preference. */
export interface AcceptableContext {
  readonly abstractSyntax: string;
  readonly transferSyntaxes: readonly string[];
  /** Roles that the requestor may have (PS3.7 annex D.3.3.4). Default: SCU only. */
  readonly requestorRoles?: { readonly scu: boolean; readonly scp: boolean } | undefined;
}

/** What `authorize` decides on. */
export interface AssociationRequest {
  readonly callingAeTitle: string;
  readonly calledAeTitle: string;
  readonly remoteAddress: string;
  /** For TLS a `TLSSocket`, whose `getPeerCertificate` identifies the peer. */
  readonly socket: Socket;
  readonly userIdentity: UserIdentity | undefined;
  readonly peer: PeerInformation;
}

export type Verdict =
  | { readonly accept: true; readonly userIdentityResponse?: Uint8Array | undefined }
  | { readonly accept: false; readonly reason?: keyof typeof REJECTIONS | undefined };

export interface Answer {
  readonly accepted: readonly AcceptedContext[];
  readonly rejected: readonly RejectedContext[];
  readonly peer: PeerInformation;
  readonly request: Omit<AssociationRequest, 'remoteAddress' | 'socket'>;
  pdu(userIdentityResponse: Uint8Array | undefined): AssociateAcPdu;
}

const VERIFICATION: AcceptableContext = {
  abstractSyntax: UID.verification,
  transferSyntaxes: [
    TRANSFER_SYNTAX.explicitVrLittleEndian,
    TRANSFER_SYNTAX.implicitVrLittleEndian,
    TRANSFER_SYNTAX.explicitVrBigEndian,
  ],
};

/** Evaluates a request and builds the A-ASSOCIATE-AC (PS3.8 section 9.3.3, PS3.7 annex D.3). */
export function answerRequest(
  pdu: AssociateRqPdu,
  options: AcceptorOptions & { readonly maxPduLengthBytes: number },
): Answer {
  const accepted: AcceptedContext[] = [];
  const rejected: RejectedContext[] = [];
  const results: PresentationContextResult[] = [];
  const roleItems: UserItem[] = [];
  for (const proposed of pdu.presentationContexts) {
    const { id, abstractSyntax } = proposed;
    const picked = pick(proposed, options.presentationContexts);
    if (typeof picked === 'number') {
      results.push({ id, result: picked, transferSyntax: proposed.transferSyntaxes[0] ?? '' });
      rejected.push({
        id,
        abstractSyntax,
        transferSyntaxes: proposed.transferSyntaxes,
        reason: picked === 3 ? 'abstract-syntax-not-supported' : 'transfer-syntaxes-not-supported',
      });
      continue;
    }
    const role = agreeRole(pdu, abstractSyntax, picked.requestorRoles ?? { scu: true, scp: false });
    if (role.item !== undefined && !roleItems.some((item) => isRoleFor(item, abstractSyntax)))
      roleItems.push(role.item);
    results.push({ id, result: 0, transferSyntax: picked.transferSyntax });
    // The requestor's SCU is our SCP.
    accepted.push({ id, abstractSyntax, transferSyntax: picked.transferSyntax, isScu: role.scp, isScp: role.scu });
  }
  const window = agreeWindow(pdu, options.maxOperationsPerformed ?? 1);
  const peer: PeerInformation = {
    ...readPeer(pdu.userItems),
    aeTitle: pdu.callingAeTitle,
    operationsWindow: { invoked: window?.operationsPerformed ?? 1, performed: window?.operationsInvoked ?? 1 },
  };
  const { calledAeTitle, callingAeTitle } = pdu;
  return {
    accepted,
    rejected,
    peer,
    request: { callingAeTitle, calledAeTitle, userIdentity: readIdentity(pdu), peer },
    pdu: (userIdentityResponse) => ({
      type: 'associate-ac',
      protocolVersion: 1,
      calledAeTitle,
      callingAeTitle,
      applicationContextName: UID.applicationContext,
      presentationContexts: results,
      userItems: [
        ...baseUserItems(options.maxPduLengthBytes),
        ...(window === undefined ? [] : [window]),
        ...roleItems,
        { type: 'implementation-version-name', name: IMPLEMENTATION.versionName } as const,
        ...identityAnswer(pdu, userIdentityResponse),
      ],
      unknownItems: [],
    }),
  };
}

/** A transfer syntax, or the reason of PS3.8 table 9-18. */
function pick(
  proposed: ProposedPresentationContext,
  acceptable: AcceptorOptions['presentationContexts'],
): 3 | 4 | { transferSyntax: string; requestorRoles?: AcceptableContext['requestorRoles'] } {
  if (typeof acceptable === 'function' && proposed.abstractSyntax !== UID.verification) {
    const transferSyntax = acceptable(proposed);
    if (transferSyntax === undefined || !proposed.transferSyntaxes.includes(transferSyntax)) return 3;
    // A function accepts any role that the requestor proposes.
    return { transferSyntax, requestorRoles: { scu: true, scp: true } };
  }
  const list = typeof acceptable === 'function' ? [VERIFICATION] : [...acceptable, VERIFICATION];
  const found = list.filter((candidate) => candidate.abstractSyntax === proposed.abstractSyntax);
  if (found.length === 0) return 3;
  for (const candidate of found) {
    const transferSyntax = candidate.transferSyntaxes.find((uid) => proposed.transferSyntaxes.includes(uid));
    if (transferSyntax !== undefined) return { transferSyntax, requestorRoles: candidate.requestorRoles };
  }
  return 4;
}

function isRoleFor(item: UserItem, uid: string): item is Extract<UserItem, { type: 'role-selection' }> {
  return item.type === 'role-selection' && item.sopClassUid === uid;
}

/** Grants the requested roles that this end allows; without a request the default roles apply. */
function agreeRole(
  pdu: AssociateRqPdu,
  uid: string,
  allowed: { readonly scu: boolean; readonly scp: boolean },
): { scu: boolean; scp: boolean; item: UserItem | undefined } {
  const asked = pdu.userItems.find((item) => isRoleFor(item, uid));
  if (asked === undefined) return { scu: true, scp: false, item: undefined };
  const scu = asked.scuRole && allowed.scu;
  const scp = asked.scpRole && allowed.scp;
  return { scu, scp, item: { type: 'role-selection', sopClassUid: uid, scuRole: scu, scpRole: scp } };
}

function agreeWindow(
  pdu: AssociateRqPdu,
  maxPerformed: number,
): Extract<UserItem, { type: 'asynchronous-operations-window' }> | undefined {
  const asked = readUserItem(pdu.userItems, 'asynchronous-operations-window');
  if (asked === undefined) return undefined;
  const invoked =
    asked.operationsInvoked === 0 || maxPerformed === 0
      ? Math.max(asked.operationsInvoked, maxPerformed)
      : Math.min(asked.operationsInvoked, maxPerformed);
  // We invoke one at a time, even if the peer would perform more.
  return { type: 'asynchronous-operations-window', operationsInvoked: invoked, operationsPerformed: 1 };
}

function readIdentity(pdu: AssociateRqPdu): UserIdentity | undefined {
  const item = readUserItem(pdu.userItems, 'user-identity-rq');
  if (item === undefined) return undefined;
  const { positiveResponseRequested } = item;
  const primary = Buffer.from(item.primaryField);
  switch (item.identityType) {
    case 1:
      return { type: 'username', username: primary.toString('utf8'), positiveResponseRequested };
    case 2:
      return {
        type: 'username-password',
        username: primary.toString('utf8'),
        password: Buffer.from(item.secondaryField).toString('utf8'),
        positiveResponseRequested,
      };
    case 3:
      return { type: 'kerberos', ticket: primary, positiveResponseRequested };
    case 4:
      return { type: 'saml', assertion: primary.toString('utf8'), positiveResponseRequested };
    case 5:
      return { type: 'jwt', token: primary.toString('utf8'), positiveResponseRequested };
    default:
      return undefined;
  }
}

/** A response is sent only if it was requested (PS3.7 annex D.3.3.7). */
function identityAnswer(pdu: AssociateRqPdu, response: Uint8Array | undefined): UserItem[] {
  const item = readUserItem(pdu.userItems, 'user-identity-rq');
  if (item?.positiveResponseRequested !== true) return [];
  return [{ type: 'user-identity-ac', serverResponse: response ?? new Uint8Array(0) }];
}
