/** PS3.8 table 9-21: result, source and reason of an A-ASSOCIATE-RJ, with the received numbers. */
export interface RejectReason {
  readonly result: 'permanent' | 'transient' | 'unknown';
  readonly source: 'service-user' | 'service-provider-acse' | 'service-provider-presentation' | 'unknown';
  readonly reason: RejectReasonName;
  readonly resultCode: number;
  readonly sourceCode: number;
  readonly reasonCode: number;
}

export type RejectReasonName =
  | 'no-reason-given'
  | 'application-context-name-not-supported'
  | 'calling-ae-title-not-recognized'
  | 'called-ae-title-not-recognized'
  | 'protocol-version-not-supported'
  | 'temporary-congestion'
  | 'local-limit-exceeded'
  | 'reserved';

/** PS3.8 table 9-26: source and reason of an A-ABORT, with the received numbers. */
export interface AbortReason {
  readonly source: 'service-user' | 'service-provider' | 'reserved';
  readonly reason: AbortReasonName;
  readonly sourceCode: number;
  readonly reasonCode: number;
}

export type AbortReasonName =
  | 'not-specified'
  | 'unrecognized-pdu'
  | 'unexpected-pdu'
  | 'reserved'
  | 'unrecognized-pdu-parameter'
  | 'unexpected-pdu-parameter'
  | 'invalid-pdu-parameter-value';

const RESULTS = ['unknown', 'permanent', 'transient'] as const;
const SOURCES = ['unknown', 'service-user', 'service-provider-acse', 'service-provider-presentation'] as const;

const REASONS: readonly (readonly RejectReasonName[])[] = [
  [],
  [
    'reserved',
    'no-reason-given',
    'application-context-name-not-supported',
    'calling-ae-title-not-recognized',
    'reserved',
    'reserved',
    'reserved',
    'called-ae-title-not-recognized',
  ],
  ['reserved', 'no-reason-given', 'protocol-version-not-supported'],
  ['reserved', 'temporary-congestion', 'local-limit-exceeded'],
];

const ABORT_REASONS: readonly AbortReasonName[] = [
  'not-specified',
  'unrecognized-pdu',
  'unexpected-pdu',
  'reserved',
  'unrecognized-pdu-parameter',
  'unexpected-pdu-parameter',
  'invalid-pdu-parameter-value',
];

/** Names the three numbers of an A-ASSOCIATE-RJ. */
export function describeRejection(resultCode: number, sourceCode: number, reasonCode: number): RejectReason {
  return {
    result: RESULTS[resultCode] ?? 'unknown',
    source: SOURCES[sourceCode] ?? 'unknown',
    reason: REASONS[sourceCode]?.[reasonCode] ?? 'reserved',
    resultCode,
    sourceCode,
    reasonCode,
  };
}

/** The reasons an acceptor may give, with their three numbers (PS3.8 table 9-21). */
export const REJECTIONS = {
  'no-reason-given': describeRejection(1, 1, 1),
  'application-context-name-not-supported': describeRejection(1, 1, 2),
  'calling-ae-title-not-recognized': describeRejection(1, 1, 3),
  'called-ae-title-not-recognized': describeRejection(1, 1, 7),
  'protocol-version-not-supported': describeRejection(1, 2, 2),
  'temporary-congestion': describeRejection(2, 3, 1),
  'local-limit-exceeded': describeRejection(2, 3, 2),
} as const satisfies Partial<Record<RejectReasonName, RejectReason>>;

/** Names the two numbers of an A-ABORT. The reason counts only if the source is the provider. */
export function describeAbort(sourceCode: number, reasonCode: number): AbortReason {
  const source = sourceCode === 0 ? 'service-user' : sourceCode === 2 ? 'service-provider' : 'reserved';
  return {
    source,
    reason: source === 'service-user' ? 'not-specified' : (ABORT_REASONS[reasonCode] ?? 'reserved'),
    sourceCode,
    reasonCode,
  };
}

/** Reasons that this end may send in an A-ABORT. */
export const ABORTS = {
  user: describeAbort(0, 0),
  'not-specified': describeAbort(2, 0),
  'unrecognized-pdu': describeAbort(2, 1),
  'unexpected-pdu': describeAbort(2, 2),
  'unrecognized-pdu-parameter': describeAbort(2, 4),
  'unexpected-pdu-parameter': describeAbort(2, 5),
  'invalid-pdu-parameter-value': describeAbort(2, 6),
} as const;
