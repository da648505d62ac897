import { DimseError } from '../errors/dimse-error.ts';
import type { Observer } from '../observer.ts';
import type { AssociateAcPdu } from '../pdu/pdu.ts';
import { incomingRequests } from '../operations/incoming.ts';
import type { IncomingHandlers } from '../operations/incoming.ts';
import type { TlsClientOptions } from '../tls/tls-options.ts';
import { Transport } from '../upper-layer/transport.ts';
import { AssociationCore } from './association-core.ts';
import { Association } from './association.ts';
import { ContextTable } from './contexts.ts';
import { buildRequest, readAnswer } from './negotiate.ts';
import type { ProposalOptions } from './negotiate.ts';
import { openSocket } from './open-socket.ts';

export interface ConnectOptions extends Omit<ProposalOptions, 'maxPduLengthBytes'> {
  readonly host: string;
  readonly port: number;
  /** The longest P-DATA-TF to accept, 0 for any. Default 131072. */
  readonly maxPduLengthBytes?: number | undefined;
  /** The longest P-DATA-TF to send, even if the peer accepts more. Default 262144. */
  readonly maxSentPduBytes?: number | undefined;
  /** For name resolution, TCP and TLS. Default 10000. */
  readonly connectTimeoutMs?: number | undefined;
  /** For the response to the A-ASSOCIATE-RQ. Default 30000. */
  readonly associationTimeoutMs?: number | undefined;
  /** Maximum time without progress while a response is due, or while the peer accepts no data; 0 never. Default 60000. */
  readonly responseTimeoutMs?: number | undefined;
  /**
   * A peer that accepts data, or sends its response, more slowly than this is treated as stalled; 0: any byte counts.
   * Default 1000. A match of a C-FIND counts as 5 seconds.
   */
  readonly minBytesPerSecond?: number | undefined;
  /** PS3.8 section 9.1.5: how long to wait for the peer to close, and for the response to a release. Default 30000. */
  readonly artimTimeoutMs?: number | undefined;
  /** Set for DICOM TLS (PS3.15 annex B). */
  readonly tls?: TlsClientOptions | undefined;
  /** Cancels connecting. Afterwards each operation has its own signal. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Write the first byte of the next P-DATA-TF when a part of a response has arrived: saves about 44 ms an instance with
   * peers that do not set TCP_NODELAY. Default true.
   */
  readonly earlyByte?: boolean | undefined;
  /** How many queued operations are prepared (their sources opened) before they can be sent. Default 2. */
  readonly prepareAhead?: number | undefined;
  /** The longest identifier or other small data set to accept from the peer. Default 16 MiB. */
  readonly maxDataSetBytes?: number | undefined;
  /** Requests of the peer on this association: C-STORE for `get`, N-EVENT-REPORT for storage commitment. */
  readonly handlers?: IncomingHandlers | undefined;
  readonly observer?: Observer | undefined;
}

export const DEFAULTS = {
  maxPduLengthBytes: 131_072,
  connectTimeoutMs: 10_000,
  associationTimeoutMs: 30_000,
  responseTimeoutMs: 60_000,
  minBytesPerSecond: 1_000,
  artimTimeoutMs: 30_000,
  prepareAhead: 2,
  maxDataSetBytes: 16 * 1024 * 1024,
} as const;

/**
 * Opens an association (PS3.8 section 7.1).
 *
 * @throws DimseError `connect-*`, `name-not-resolved`, `local-resources`, `tls-*`, `association-rejected`,
 * `association-timeout`, `association-ended`, `aborted`, `connection-closed`, `cancelled`, `protocol-error`,
 * `limit-exceeded`, `invalid-argument`, `too-many-presentation-contexts`.
 */
export async function connect(options: ConnectOptions): Promise<Association> {
  const maxPduLengthBytes = options.maxPduLengthBytes ?? DEFAULTS.maxPduLengthBytes;
  checkLength(maxPduLengthBytes);
  const request = buildRequest({ ...options, maxPduLengthBytes });
  const socket = await openSocket({
    host: options.host,
    port: options.port,
    tls: options.tls,
    connectTimeoutMs: options.connectTimeoutMs ?? DEFAULTS.connectTimeoutMs,
    signal: options.signal,
  });
  const transport = new Transport(socket, `${options.host}:${options.port}`);
  let onAnswer: (pdu: AssociateAcPdu) => void = () => {};
  const core = new AssociationCore(
    transport,
    {
      role: 'requestor',
      maxPduLengthBytes,
      artimTimeoutMs: options.artimTimeoutMs ?? DEFAULTS.artimTimeoutMs,
      idleTimeoutMs: 0,
      responseTimeoutMs: options.responseTimeoutMs ?? DEFAULTS.responseTimeoutMs,
      minBytesPerSecond: options.minBytesPerSecond ?? DEFAULTS.minBytesPerSecond,
      earlyByte: options.earlyByte ?? true,
      prepareAhead: Math.max(1, options.prepareAhead ?? DEFAULTS.prepareAhead),
      maxDataSetBytes: options.maxDataSetBytes ?? DEFAULTS.maxDataSetBytes,
      observer: options.observer,
    },
    { onAssociateAc: (pdu) => onAnswer(pdu) },
  );
  return new Promise((resolve, reject) => {
    const timeoutMs = options.associationTimeoutMs ?? DEFAULTS.associationTimeoutMs;
    const timer = setTimeout(() => {
      core.abort(
        new DimseError(
          'association-timeout',
          `no response to A-ASSOCIATE-RQ within ${timeoutMs} ms (associationTimeoutMs)`,
        ),
      );
    }, timeoutMs);
    const onAbort = (): void =>
      core.abort(new DimseError('cancelled', 'the association was cancelled', { cause: options.signal?.reason }));
    options.signal?.addEventListener('abort', onAbort, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
    };
    core.whenEnded((error) => {
      settle();
      reject(
        error ?? new DimseError('association-ended', 'the peer released the association before it was established'),
      );
    });
    onAnswer = (pdu) => {
      settle();
      const { accepted, rejected, peer } = readAnswer(request, pdu, options.assumeRoles);
      const { invoked } = peer.operationsWindow;
      const asked = options.operationsWindow?.invoked ?? 1;
      core.establish({
        contexts: new ContextTable(accepted, rejected),
        peerMaxPduLengthBytes: peer.maxPduLengthBytes,
        maxSentPduBytes: options.maxSentPduBytes,
        window: smallerWindow(asked, invoked),
      });
      const association = new Association(core, peer);
      core.onRequest = incomingRequests(core, association, options.handlers ?? {});
      resolve(association);
    };
    core.upper.open(request);
  });
}

/** 0 is unlimited. */
function smallerWindow(a: number, b: number): number {
  if (a === 0) return b === 0 ? 0xffff : b;
  return b === 0 ? a : Math.min(a, b);
}

function checkLength(bytes: number): void {
  if (Number.isInteger(bytes) && (bytes === 0 || (bytes >= 1024 && bytes <= 0xffffffff))) return;
  throw new DimseError('invalid-argument', `maxPduLengthBytes is ${bytes}; it must be 0 (unlimited) or at least 1024`);
}
