import type { Event, State } from './upper-layer/state-table.ts';

/** What an {@link Observer} may see. No event carries data of a patient: PDU kinds, lengths, states, statuses. */
export type ObserverEvent =
  | {
      readonly type: 'pdu-sent' | 'pdu-received';
      readonly pdu: PduName;
      /** The PDU-length field: without the 6 header bytes. */
      readonly lengthBytes: number;
    }
  | { readonly type: 'state'; readonly event: Event; readonly from: State; readonly to: State }
  | { readonly type: 'early-byte-sent' }
  | {
      readonly type: 'message-sent' | 'message-received';
      /** Command Field (0000,0100), PS3.7 annex E. */
      readonly commandField: number;
      readonly messageId: number;
      /** Set in responses. */
      readonly status: number | undefined;
    };

export type PduName =
  | 'A-ASSOCIATE-RQ'
  | 'A-ASSOCIATE-AC'
  | 'A-ASSOCIATE-RJ'
  | 'P-DATA-TF'
  | 'A-RELEASE-RQ'
  | 'A-RELEASE-RP'
  | 'A-ABORT'
  | 'unknown';

/** Called synchronously on the path of the data: it must be quick and must not throw. */
export type Observer = (event: ObserverEvent) => void;

const NAMES: readonly PduName[] = [
  'unknown',
  'A-ASSOCIATE-RQ',
  'A-ASSOCIATE-AC',
  'A-ASSOCIATE-RJ',
  'P-DATA-TF',
  'A-RELEASE-RQ',
  'A-RELEASE-RP',
  'A-ABORT',
];

export function pduName(type: number): PduName {
  return NAMES[type] ?? 'unknown';
}
