import { DimseError } from '../errors/dimse-error.ts';
import { ABORTS } from '../pdu/reasons.ts';

/** A response that comes near the one that is due, and is not it. Thrown where it arrives, it aborts the association. */
export function unexpectedResponse(what: string): DimseError {
  return new DimseError('unexpected-response', `the peer violated the protocol: ${what}`, {
    abort: ABORTS['unexpected-pdu-parameter'],
  });
}

/** As the Standard writes 16 bits: `8001H`. */
export function hex(value: number): string {
  return `${value.toString(16).toUpperCase().padStart(4, '0')}H`;
}
