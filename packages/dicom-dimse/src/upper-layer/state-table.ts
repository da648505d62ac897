/**
 * The DICOM Upper Layer state machine, PS3.8 section 9.2, as data.
 *
 * States (PS3.8 tables 9-1 to 9-5):
 * - Sta1  idle, no connection.
 * - Sta2  acceptor: connection open, awaiting A-ASSOCIATE-RQ.
 * - Sta3  acceptor: awaiting the local response to the request.
 * - Sta4  requestor: awaiting the transport connection.
 * - Sta5  requestor: awaiting A-ASSOCIATE-AC or -RJ.
 * - Sta6  association established, ready for data.
 * - Sta7  we requested a release, awaiting A-RELEASE-RP.
 * - Sta8  the peer requested a release, awaiting the local response.
 * - Sta9  release collision, requestor: awaiting the local response.
 * - Sta10 release collision, acceptor: awaiting A-RELEASE-RP.
 * - Sta11 release collision, requestor: awaiting A-RELEASE-RP.
 * - Sta12 release collision, acceptor: awaiting the local response.
 * - Sta13 awaiting the close of the connection; further data are ignored.
 */
export type State =
  | 'Sta1'
  | 'Sta2'
  | 'Sta3'
  | 'Sta4'
  | 'Sta5'
  | 'Sta6'
  | 'Sta7'
  | 'Sta8'
  | 'Sta9'
  | 'Sta10'
  | 'Sta11'
  | 'Sta12'
  | 'Sta13';

/** The actions of PS3.8 tables 9-6 to 9-9. */
export type Action =
  | 'AE-1'
  | 'AE-2'
  | 'AE-3'
  | 'AE-4'
  | 'AE-5'
  | 'AE-6'
  | 'AE-7'
  | 'AE-8'
  | 'DT-1'
  | 'DT-2'
  | 'AR-1'
  | 'AR-2'
  | 'AR-3'
  | 'AR-4'
  | 'AR-5'
  | 'AR-6'
  | 'AR-7'
  | 'AR-8'
  | 'AR-9'
  | 'AR-10'
  | 'AA-1'
  | 'AA-2'
  | 'AA-3'
  | 'AA-4'
  | 'AA-5'
  | 'AA-6'
  | 'AA-7'
  | 'AA-8';

/** The events of PS3.8 section 9.2.2, in the order of table 9-10 (Evt1 to Evt19). */
export type Event =
  | 'associate-request'
  | 'transport-connected'
  | 'associate-ac-received'
  | 'associate-rj-received'
  | 'transport-indication'
  | 'associate-rq-received'
  | 'associate-accept'
  | 'associate-reject'
  | 'p-data-request'
  | 'p-data-received'
  | 'release-request'
  | 'release-rq-received'
  | 'release-rp-received'
  | 'release-response'
  | 'abort-request'
  | 'abort-received'
  | 'transport-closed'
  | 'artim-expired'
  | 'invalid-pdu-received';

/** What to do, and the states that may follow: where there are two, the action decides. */
export interface Transition {
  readonly action: Action;
  readonly next: readonly State[];
}

function to(action: Action, ...next: readonly State[]): Transition {
  return { action, next };
}

/** The same transition for several states. */
function all<S extends State>(states: readonly S[], transition: Transition): Record<S, Transition> {
  return Object.fromEntries(states.map((state) => [state, transition])) as Record<S, Transition>;
}

const FROM_6 = ['Sta6', 'Sta7', 'Sta8', 'Sta9', 'Sta10', 'Sta11', 'Sta12'] as const;
const AFTER_8 = ['Sta8', 'Sta9', 'Sta10', 'Sta11', 'Sta12'] as const;

const ABORT_AS_USER = to('AA-1', 'Sta13');
const ABORT_AS_PROVIDER = to('AA-8', 'Sta13');
const IGNORE = to('AA-6', 'Sta13');
const ABORT_AGAIN = to('AA-7', 'Sta13');

/** PS3.8 table 9-10. A missing entry is an event that cannot happen, or that this end may not cause, in that state. */
export const STATE_TABLE: Readonly<Record<Event, Readonly<Partial<Record<State, Transition>>>>> = {
  'associate-request': { Sta1: to('AE-1', 'Sta4') },
  'transport-connected': { Sta4: to('AE-2', 'Sta5') },
  'associate-ac-received': {
    Sta2: ABORT_AS_USER,
    Sta3: ABORT_AS_PROVIDER,
    Sta5: to('AE-3', 'Sta6'),
    ...all(FROM_6, ABORT_AS_PROVIDER),
    Sta13: IGNORE,
  },
  'associate-rj-received': {
    Sta2: ABORT_AS_USER,
    Sta3: ABORT_AS_PROVIDER,
    Sta5: to('AE-4', 'Sta1'),
    ...all(FROM_6, ABORT_AS_PROVIDER),
    Sta13: IGNORE,
  },
  'transport-indication': { Sta1: to('AE-5', 'Sta2') },
  'associate-rq-received': {
    Sta2: to('AE-6', 'Sta3', 'Sta13'),
    Sta3: ABORT_AS_PROVIDER,
    Sta5: ABORT_AS_PROVIDER,
    ...all(FROM_6, ABORT_AS_PROVIDER),
    Sta13: ABORT_AGAIN,
  },
  'associate-accept': { Sta3: to('AE-7', 'Sta6') },
  'associate-reject': { Sta3: to('AE-8', 'Sta13') },
  'p-data-request': { Sta6: to('DT-1', 'Sta6'), Sta8: to('AR-7', 'Sta8') },
  'p-data-received': {
    Sta2: ABORT_AS_USER,
    Sta3: ABORT_AS_PROVIDER,
    Sta5: ABORT_AS_PROVIDER,
    Sta6: to('DT-2', 'Sta6'),
    Sta7: to('AR-6', 'Sta7'),
    ...all(AFTER_8, ABORT_AS_PROVIDER),
    Sta13: IGNORE,
  },
  'release-request': { Sta6: to('AR-1', 'Sta7') },
  'release-rq-received': {
    Sta2: ABORT_AS_USER,
    Sta3: ABORT_AS_PROVIDER,
    Sta5: ABORT_AS_PROVIDER,
    Sta6: to('AR-2', 'Sta8'),
    Sta7: to('AR-8', 'Sta9', 'Sta10'),
    ...all(AFTER_8, ABORT_AS_PROVIDER),
    Sta13: IGNORE,
  },
  'release-rp-received': {
    Sta2: ABORT_AS_USER,
    Sta3: ABORT_AS_PROVIDER,
    Sta5: ABORT_AS_PROVIDER,
    Sta6: ABORT_AS_PROVIDER,
    Sta7: to('AR-3', 'Sta1'),
    Sta8: ABORT_AS_PROVIDER,
    Sta9: ABORT_AS_PROVIDER,
    Sta10: to('AR-10', 'Sta12'),
    Sta11: to('AR-3', 'Sta1'),
    Sta12: ABORT_AS_PROVIDER,
    Sta13: IGNORE,
  },
  'release-response': { Sta8: to('AR-4', 'Sta13'), Sta9: to('AR-9', 'Sta11'), Sta12: to('AR-4', 'Sta13') },
  'abort-request': {
    Sta3: ABORT_AS_USER,
    Sta4: to('AA-2', 'Sta1'),
    Sta5: ABORT_AS_USER,
    ...all(FROM_6, ABORT_AS_USER),
  },
  'abort-received': {
    Sta2: to('AA-2', 'Sta1'),
    Sta3: to('AA-3', 'Sta1'),
    Sta5: to('AA-3', 'Sta1'),
    ...all(FROM_6, to('AA-3', 'Sta1')),
    Sta13: to('AA-2', 'Sta1'),
  },
  'transport-closed': {
    Sta2: to('AA-5', 'Sta1'),
    Sta3: to('AA-4', 'Sta1'),
    Sta4: to('AA-4', 'Sta1'),
    Sta5: to('AA-4', 'Sta1'),
    ...all(FROM_6, to('AA-4', 'Sta1')),
    Sta13: to('AR-5', 'Sta1'),
  },
  'artim-expired': { Sta2: to('AA-2', 'Sta1'), Sta13: to('AA-2', 'Sta1') },
  'invalid-pdu-received': {
    Sta2: ABORT_AS_USER,
    Sta3: ABORT_AS_PROVIDER,
    Sta5: ABORT_AS_PROVIDER,
    ...all(FROM_6, ABORT_AS_PROVIDER),
    Sta13: ABORT_AGAIN,
  },
};
