import { DimseError } from '../errors/dimse-error.ts';
import { ABORTS } from '../pdu/reasons.ts';

/** A response that is similar to the expected one, but invalid. If thrown on arrival, it aborts the association. */
export function unexpectedResponse(what: string): DimseError {
  return new DimseError('unexpected-response', `the peer violated the protocol: ${what}`, {
    abort: ABORTS['unexpected-pdu-parameter'],
  });
}

/** As the Standard writes 16 bits: `8001H`. */
export function hex(value: number): string {
  return `${value.toString(16).toUpperCase().padStart(4, '0')}H`;
}
