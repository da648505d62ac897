/** The meaning of a status for the requestor. */
export type StatusClass = 'success' | 'warning' | 'failure' | 'cancel' | 'pending';

/** Services whose statuses differ: PS3.4 tables B.2-1, C.4-1 to C.4-3, PS3.7 annex C. */
export type StatusService = 'store' | 'find' | 'get' | 'move' | 'echo' | 'action' | 'event-report';

export interface DimseStatus {
  /** 16 bits, as received. */
  readonly status: number;
  readonly class: StatusClass;
  readonly text: string;
}

interface Row {
  readonly from: number;
  readonly to: number;
  readonly class: StatusClass;
  readonly text: string;
  /** Undefined: all services. */
  readonly services?: readonly StatusService[];
}

function row(
  from: number,
  to: number,
  statusClass: StatusClass,
  text: string,
  services?: readonly StatusService[],
): Row {
  return services === undefined
    ? { from, to, class: statusClass, text }
    : { from, to, class: statusClass, text, services };
}

const STORE = ['store'] as const;
const QUERY = ['find', 'get', 'move'] as const;
const RETRIEVE = ['get', 'move'] as const;

/** The first matching row counts. PS3.7 annex C for all services; PS3.4 where services are named. */
export const STATUS_TABLE: readonly Row[] = [
  row(0x0000, 0x0000, 'success', 'Success'),
  row(0x0001, 0x0001, 'warning', 'Requested optional attributes are not supported'),
  row(0x0105, 0x0105, 'failure', 'No such attribute'),
  row(0x0106, 0x0106, 'failure', 'Invalid attribute value'),
  row(0x0107, 0x0107, 'warning', 'Attribute list error'),
  row(0x0110, 0x0110, 'failure', 'Processing failure'),
  row(0x0111, 0x0111, 'failure', 'Duplicate SOP instance'),
  row(0x0112, 0x0112, 'failure', 'No such SOP instance'),
  row(0x0113, 0x0113, 'failure', 'No such event type'),
  row(0x0114, 0x0114, 'failure', 'No such argument'),
  row(0x0115, 0x0115, 'failure', 'Invalid argument value'),
  row(0x0116, 0x0116, 'warning', 'Attribute value out of range'),
  row(0x0117, 0x0117, 'failure', 'Invalid SOP instance'),
  row(0x0118, 0x0118, 'failure', 'No such SOP class'),
  row(0x0119, 0x0119, 'failure', 'Class-instance conflict'),
  row(0x0120, 0x0120, 'failure', 'Missing attribute'),
  row(0x0121, 0x0121, 'failure', 'Missing attribute value'),
  row(0x0122, 0x0122, 'failure', 'SOP class not supported'),
  row(0x0123, 0x0123, 'failure', 'No such action type'),
  row(0x0124, 0x0124, 'failure', 'Not authorized'),
  row(0x0131, 0x0131, 'failure', 'Duplicate transaction UID', ['action']),
  row(0x0210, 0x0210, 'failure', 'Duplicate invocation'),
  row(0x0211, 0x0211, 'failure', 'Unrecognized operation'),
  row(0x0212, 0x0212, 'failure', 'Mistyped argument'),
  row(0x0213, 0x0213, 'failure', 'Resource limitation'),
  row(0x0214, 0x0214, 'failure', 'Not authorized: negotiation of an SCU or SCP role is missing'),
  row(0xa700, 0xa700, 'failure', 'Refused: out of resources', ['store', 'find']),
  row(0xa701, 0xa701, 'failure', 'Refused: out of resources, unable to calculate the number of matches', RETRIEVE),
  row(0xa702, 0xa702, 'failure', 'Refused: out of resources, unable to perform sub-operations', RETRIEVE),
  row(0xa700, 0xa7ff, 'failure', 'Refused: out of resources', [...STORE, ...QUERY]),
  row(0xa801, 0xa801, 'failure', 'Refused: move destination unknown', ['move']),
  row(0xa900, 0xa9ff, 'failure', 'Data set does not match SOP class', STORE),
  row(0xa900, 0xa9ff, 'failure', 'Identifier does not match SOP class', QUERY),
  row(0xaa00, 0xaa00, 'failure', 'None of the frames requested were found', ['get']),
  row(0xaa01, 0xaa01, 'failure', 'Unable to create a new object for this SOP class', ['get']),
  row(0xaa02, 0xaa02, 'failure', 'Unable to extract frames', ['get']),
  row(0xaa03, 0xaa03, 'failure', 'Time-based request received for an object without a time base', ['get']),
  row(0xaa04, 0xaa04, 'failure', 'Invalid request', ['get']),
  row(0xb000, 0xb000, 'warning', 'Coercion of data elements', STORE),
  row(0xb000, 0xb000, 'warning', 'Sub-operations complete, one or more failures or warnings', RETRIEVE),
  row(0xb006, 0xb006, 'warning', 'Elements discarded', STORE),
  row(0xb007, 0xb007, 'warning', 'Data set does not match SOP class', STORE),
  row(0xb000, 0xbfff, 'warning', 'Warning'),
  row(0xc000, 0xcfff, 'failure', 'Cannot understand', STORE),
  row(0xc000, 0xcfff, 'failure', 'Unable to process', QUERY),
  row(0xfe00, 0xfe00, 'cancel', 'Matching or sub-operations terminated by a cancel request'),
  row(0xff00, 0xff00, 'pending', 'Pending', QUERY),
  row(0xff01, 0xff01, 'pending', 'Pending, optional keys were not supported', ['find']),
  row(0xff00, 0xff01, 'pending', 'Pending'),
  row(0xa000, 0xafff, 'failure', 'Failure'),
  row(0xc000, 0xcfff, 'failure', 'Failure'),
  row(0x0100, 0x02ff, 'failure', 'Failure'),
];

/** The status of an operation that a C-CANCEL has ended (PS3.7 section 9.3.2.2). */
export const CANCELLED = 0xfe00;

/** Whether more responses follow (PS3.7 annex C.4). */
export function isPending(status: number): boolean {
  return status === 0xff00 || status === 0xff01;
}

const SUCCESS: DimseStatus = { status: 0, class: 'success', text: 'Success' };

/** Class and text of a status, for the service of the response. A status that the Standard does not list is a failure. */
export function describeStatus(status: number, service: StatusService): DimseStatus {
  if (status === 0) return SUCCESS;
  const found = STATUS_TABLE.find(
    (candidate) =>
      status >= candidate.from &&
      status <= candidate.to &&
      (candidate.services === undefined || candidate.services.includes(service)),
  );
  return { status, class: found?.class ?? 'failure', text: found?.text ?? 'Unknown status' };
}
