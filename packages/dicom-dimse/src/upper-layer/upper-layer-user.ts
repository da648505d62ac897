import type { DimseError } from '../errors/dimse-error.ts';
import type { Observer } from '../observer.ts';
import type { AssociateAcPdu, AssociateRqPdu } from '../pdu/pdu.ts';

/** The indications and confirmations of PS3.8 section 7, as calls. None is made after `onEnd`. */
export interface UpperLayerUser {
  onAssociateRq(pdu: AssociateRqPdu): void;
  onAssociateAc(pdu: AssociateAcPdu): void;
  onPDataPiece(contextId: number, control: number, piece: Buffer, isEndOfValue: boolean): void;
  onReleaseRq(): void;
  /** After each chunk from the peer, when all in it has been handled. */
  onProgress(): void;
  /** Exactly once; without an error after a release. */
  onEnd(error: DimseError | undefined): void;
}

export interface UpperLayerOptions {
  readonly role: 'requestor' | 'acceptor';
  /** What we offered as maximum length; 0 is unlimited. */
  readonly maxPDataBytes: number;
  readonly maxAssociateBytes: number;
  /** PS3.8 section 9.1.5: how long to wait for an A-ASSOCIATE-RQ, and for the peer to close. */
  readonly artimTimeoutMs: number;
  /** Silence of an established association after which it is aborted; 0 never. */
  readonly idleTimeoutMs: number;
  /** A slower rate, within a message, counts as a stall; 0: every byte is sufficient. */
  readonly minBytesPerSecond: number;
  /** Whether the peer waits for us: then its silence does not count. */
  readonly isBusy: () => boolean;
  readonly observer: Observer | undefined;
}
