/** What an audit looks at. */
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
  /** Studies that were looked at, in each shape in which they went there. */
  readonly studies: number;
  /** Instances that the target has confirmed. */
  readonly instances: number;
  /** Of these, those whose content was compared with what was sent. */
  readonly compared: number;
  readonly missing: number;
  /** Of another size or content. */
  readonly different: number;
  /** What the target has in these studies and nobody sent there. */
  readonly extra: number;
  /** Instances of which nobody knows: the source no longer has the study, or the target does not say. */
  readonly unread: number;
  /** Requests to the target. */
  readonly requests: number;
}

/** What is open of a target, over all its audits. */
export type OpenFindings = Pick<AuditCounts, 'studies' | 'missing' | 'different' | 'extra'>;

/** The audit of a target that is under way, or that was the last one. Times are ms since 1970, by the clock of Redis. */
export interface TargetAudit {
  readonly id: string;
  readonly target: string;
  /** Who asked for it; `schedule` for the configuration. */
  readonly by: string;
  readonly scope: AuditScope;
  readonly startedAt: number;
  /** `stopped`: an operator ended it; `failed`: it cannot go on, `reason` says why. */
  readonly state: 'running' | 'done' | 'stopped' | 'failed';
  readonly endedAt?: number | undefined;
  /** Why it waits or has failed. */
  readonly reason?: string | undefined;
  /** While it waits: when it is tried again. */
  readonly waitsUntil?: number | undefined;
  /** The study that it could not ask for: what cannot be asked for twice is left out. */
  readonly tried?: string | undefined;
  /** How far it is: the place of the last delivery that was looked at. */
  readonly after?: string | undefined;
  /** Whether it is at those that changed while it ran. */
  readonly isLate?: boolean | undefined;
  readonly counts: AuditCounts;
  readonly open: OpenFindings;
  /** What was sent again last. */
  readonly sent?: { readonly at: number; readonly by: string; readonly studies: number; readonly instances: number };
}

/** What an audit found in one study, in one shape. */
export interface AuditFinding {
  /** The last audit that looked at the study; one that could not read it leaves the rest as it was. */
  readonly auditId: string;
  /** When it was found. */
  readonly at: number;
  readonly source: string;
  readonly orthancStudyId: string;
  readonly studyInstanceUid: string;
  /** The delivery that brought it there last. */
  readonly deliveryId: string;
  /** SOP Instance UIDs in the source, the first 200. */
  readonly missing: readonly string[];
  readonly missingCount: number;
  readonly different: readonly string[];
  readonly differentCount: number;
  /** What else is there, as the target names it, the first 200; without patient data. */
  readonly extra: readonly string[];
  readonly extraCount: number;
}

/** What an operator wants. */
export type AuditWish =
  | { readonly kind: 'start'; readonly by: string; readonly scope: AuditScope }
  | { readonly kind: 'stop'; readonly by: string }
  /** Send again what is missing or different, of one study or of all. */
  | { readonly kind: 'send'; readonly by: string; readonly study?: string | undefined };

export const noCounts: AuditCounts = {
  studies: 0,
  instances: 0,
  compared: 0,
  missing: 0,
  different: 0,
  extra: 0,
  unread: 0,
  requests: 0,
};
