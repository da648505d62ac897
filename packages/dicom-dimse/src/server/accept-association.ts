import type { Socket } from 'node:net';
import { AssociationCore } from '../association/association-core.ts';
import { Association } from '../association/association.ts';
import { DEFAULTS } from '../association/connect.ts';
import { ContextTable } from '../association/contexts.ts';
import type { PeerInformation } from '../association/negotiate.ts';
import type { Observer } from '../observer.ts';
import { REJECTIONS } from '../pdu/reasons.ts';
import type { RejectReason } from '../pdu/reasons.ts';
import type { AssociateRqPdu } from '../pdu/pdu.ts';
import { incomingRequests } from '../operations/incoming.ts';
import type { IncomingHandlers } from '../operations/incoming.ts';
import { Transport } from '../upper-layer/transport.ts';
import { UID } from '../uids.ts';
import { answerRequest } from './answer-request.ts';
import type { AcceptableContext, AssociationRequest, Verdict } from './answer-request.ts';

export interface AcceptorOptions {
  /** Reject other called AE titles. Without it any is accepted. */
  readonly aeTitle?: string | undefined;
  /**
   * Accepted contexts: a list, or a function that chooses one of the proposed transfer syntaxes (undefined rejects).
   * Verification is always accepted.
   */
  readonly presentationContexts: readonly AcceptableContext[] | ((proposed: ProposedContext) => string | undefined);
  readonly handlers?: IncomingHandlers | undefined;
  /** Decides on each association: calling AE title, user identity. Default: all are accepted. */
  readonly authorize?: ((request: AssociationRequest) => Promise<Verdict> | Verdict) | undefined;
  /** Called for each association that was accepted. */
  readonly onAssociation?: ((association: Association) => void) | undefined;
  /** The longest P-DATA-TF to accept, 0 for any. Default 131072. */
  readonly maxPduLengthBytes?: number | undefined;
  /** Number of operations of the peer performed in parallel, if it requests more than 1. Default 1. */
  readonly maxOperationsPerformed?: number | undefined;
  /** For the arrival of the A-ASSOCIATE-RQ, and for the peer to close at the end. Default 30000. */
  readonly artimTimeoutMs?: number | undefined;
  /** Silence of the peer after which an association is aborted; 0 never. Default 60000. */
  readonly idleTimeoutMs?: number | undefined;
  /** For responses to our own requests. Default 60000. */
  readonly responseTimeoutMs?: number | undefined;
  /** A peer that sends a message slower than this is treated as silent; 0: any byte counts. Default 1000. */
  readonly minBytesPerSecond?: number | undefined;
  readonly maxDataSetBytes?: number | undefined;
  readonly observer?: Observer | undefined;
}

export interface ProposedContext {
  readonly abstractSyntax: string;
  readonly transferSyntaxes: readonly string[];
}

/** Executes PS3.8 section 7.1.2 for a connected socket: waits for the request, evaluates it, responds. */
export function acceptAssociation(socket: Socket, options: AcceptorOptions, isFull: boolean): AssociationCore {
  const maxPduLengthBytes = options.maxPduLengthBytes ?? DEFAULTS.maxPduLengthBytes;
  const transport = new Transport(socket, `${socket.remoteAddress ?? 'peer'}:${socket.remotePort ?? 0}`);
  const core: AssociationCore = new AssociationCore(
    transport,
    {
      role: 'acceptor',
      maxPduLengthBytes,
      artimTimeoutMs: options.artimTimeoutMs ?? DEFAULTS.artimTimeoutMs,
      idleTimeoutMs: options.idleTimeoutMs ?? 60_000,
      responseTimeoutMs: options.responseTimeoutMs ?? DEFAULTS.responseTimeoutMs,
      minBytesPerSecond: options.minBytesPerSecond ?? DEFAULTS.minBytesPerSecond,
      // The early byte only helps senders of many instances.
      earlyByte: false,
      prepareAhead: DEFAULTS.prepareAhead,
      maxDataSetBytes: options.maxDataSetBytes ?? DEFAULTS.maxDataSetBytes,
      observer: options.observer,
    },
    {
      onAssociateRq: (pdu) => {
        const refusal = isFull ? REJECTIONS['local-limit-exceeded'] : refuse(pdu, options);
        if (refusal !== undefined) {
          core.upper.reject(refusal);
          return;
        }
        judge(core, socket, pdu, options, maxPduLengthBytes);
      },
    },
  );
  core.upper.open();
  return core;
}

/** The reason to reject a request without a decision of `authorize`: PS3.8 section 7.1.2 and 9.3.2. */
function refuse(pdu: AssociateRqPdu, options: AcceptorOptions): RejectReason | undefined {
  if ((pdu.protocolVersion & 1) === 0) return REJECTIONS['protocol-version-not-supported'];
  if (pdu.applicationContextName !== UID.applicationContext) {
    return REJECTIONS['application-context-name-not-supported'];
  }
  if (options.aeTitle !== undefined && pdu.calledAeTitle !== options.aeTitle) {
    return REJECTIONS['called-ae-title-not-recognized'];
  }
  return undefined;
}

function judge(
  core: AssociationCore,
  socket: Socket,
  pdu: AssociateRqPdu,
  options: AcceptorOptions,
  maxPduLengthBytes: number,
): void {
  const answer = answerRequest(pdu, { ...options, maxPduLengthBytes });
  const accept = (userIdentityResponse: Uint8Array | undefined): void => {
    if (core.hasEnded) return;
    const peer: PeerInformation = answer.peer;
    core.establish({
      contexts: new ContextTable(answer.accepted, answer.rejected),
      peerMaxPduLengthBytes: peer.maxPduLengthBytes,
      maxSentPduBytes: undefined,
      window: peer.operationsWindow.invoked === 0 ? 0xffff : peer.operationsWindow.invoked,
    });
    const association = new Association(core, peer);
    core.onRequest = incomingRequests(core, association, options.handlers ?? {});
    core.upper.accept(answer.pdu(userIdentityResponse));
    options.onAssociation?.(association);
  };
  if (options.authorize === undefined) {
    accept(undefined);
    return;
  }
  const { authorize } = options;
  const request: AssociationRequest = {
    ...answer.request,
    remoteAddress: socket.remoteAddress ?? '',
    socket,
  };
  (async () => authorize(request))().then(
    (verdict) => {
      if (core.hasEnded) return;
      if (verdict.accept) accept(verdict.userIdentityResponse);
      else core.upper.reject(REJECTIONS[verdict.reason ?? 'no-reason-given']);
    },
    (error: unknown) => {
      options.handlers?.onHandlerError?.(error);
      if (!core.hasEnded) core.upper.reject(REJECTIONS['temporary-congestion']);
    },
  );
}
