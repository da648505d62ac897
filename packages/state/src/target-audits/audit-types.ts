/** The scope of an audit. */
export interface AuditScope {
  /** Only deliveries that changed since (ms since 1970). */
  readonly since?: number | undefined;
  /** Only this study, by its Study Instance UID. */
  readonly study?: string | undefined;
  /** Share of the studies, from 0 to 1. */
  readonly sample: number;
  /** Whether contents are compared, too. */
  readonly content: boolean;
}

export interface AuditCounts {
  /** Number of studies that were checked, in each form in which they were sent there. */
  readonly studies: number;
  /** Instances that the target has confirmed. */
  readonly instances: number;
  /** Number of these whose content was compared with the sent data. */
  readonly compared: number;
  /** Confirmed instances at the target whose content should have been compared, but could not be. */
  readonly uncompared: number;
  readonly missing: number;
  /** Of another size or content. */
  readonly different: number;
  /** Objects in these studies at the target that were not sent there. */
  readonly extra: number;
  /** Instances with an unknown result: the source no longer has the study, or the target does not report it. */
  readonly unread: number;
  /** Requests to the target. */
  readonly requests: number;
}

/** Open findings of a target, over all its audits. */
export type OpenFindings = Pick<AuditCounts, 'studies' | 'missing' | 'different' | 'extra'>;

/** The running or last audit of a target. Times are ms since 1970, by the clock of Redis. */
export interface TargetAudit {
  readonly id: string;
  readonly target: string;
  /** Who requested it; `schedule` for the configuration. */
  readonly by: string;
  readonly scope: AuditScope;
  readonly startedAt: number;
  /** `stopped`: an operator ended it; `failed`: it cannot continue, see `reason`. */
  readonly state: 'running' | 'done' | 'stopped' | 'failed';
  readonly endedAt?: number | undefined;
  /** Why it waits or has failed. */
  readonly reason?: string | undefined;
  /** While it waits: when it is tried again. */
  readonly waitsUntil?: number | undefined;
  /** The study that could not be queried: a study that fails twice is skipped. */
  readonly tried?: string | undefined;
  /** Progress: the place of the last checked delivery. */
  readonly after?: string | undefined;
  /** Whether it is now checking the deliveries that changed while it ran. */
  readonly isLate?: boolean | undefined;
  readonly counts: AuditCounts;
  /** Why contents could not be compared, with the number of instances; the first ten reasons. */
  readonly uncomparedWhy?: Readonly<Record<string, number>> | undefined;
  readonly open: OpenFindings;
  /** The last time that instances were sent again: when, by whom, and how many. */
  readonly sent?: { readonly at: number; readonly by: string; readonly studies: number; readonly instances: number };
}

/** What an audit found in one study, in one form in which it was sent. */
export interface AuditFinding {
  /** The last audit that checked the study; an audit that could not read it preserves the other fields. */
  readonly auditId: string;
  /** When it was found. */
  readonly at: number;
  readonly source: string;
  readonly orthancStudyId: string;
  readonly studyInstanceUid: string;
  /** Whether contents were compared: an audit without comparison preserves `different`. */
  readonly content?: boolean | undefined;
  /** The delivery that brought it there last. */
  readonly deliveryId: string;
  /** SOP Instance UIDs in the source, the first 200. */
  readonly missing: readonly string[];
  readonly missingCount: number;
  readonly different: readonly string[];
  readonly differentCount: number;
  /** What is different, by SOP Instance UID: sizes, keywords of elements; no values. */
  readonly details?: Readonly<Record<string, string>> | undefined;
  /** Other content, as named by the target, the first 200; without patient data. */
  readonly extra: readonly string[];
  readonly extraCount: number;
}

/** Request of an operator. */
export type AuditWish =
  | { readonly kind: 'start'; readonly by: string; readonly scope: AuditScope }
  | { readonly kind: 'stop'; readonly by: string }
  /** Send missing or different instances again, of one study or of all. */
  | { readonly kind: 'send'; readonly by: string; readonly study?: string | undefined };

export const noCounts: AuditCounts = {
  studies: 0,
  instances: 0,
  compared: 0,
  uncompared: 0,
  missing: 0,
  different: 0,
  extra: 0,
  unread: 0,
  requests: 0,
};
