import type { PublicFinding } from '@dicom-dispatch/runtime';
import {
  healthSeverities,
  healthTable,
  type HealthKind,
  type HealthKindRow,
  type HealthSeverity,
} from './health-kinds.ts';

/** A finding for operators. */
export interface HealthFinding {
  readonly kind: HealthKind;
  readonly severity: HealthSeverity;
  /** Name of a source or target; HOST:PID for clocks and configurations; an option for certificates; empty for the whole system. */
  readonly subject: string;
  /** By Redis TIME (ms since 1970), if known. */
  readonly since: number | undefined;
  /** One sentence, without patient data, secrets or a full stop. */
  readonly words: string;
  readonly remedy: string;
  /** Path of a page of the console that shows more. */
  readonly path: string;
}

export interface FindingParts {
  readonly subject?: string | undefined;
  readonly since?: number | undefined;
  readonly words: string;
  readonly remedy?: string | undefined;
  readonly path?: string | undefined;
}

/** Creates a finding of a kind; omitted values come from the table. */
export function finding(kind: HealthKind, { subject = '', since, words, remedy, path }: FindingParts): HealthFinding {
  const row: HealthKindRow = healthTable[kind];
  return {
    kind,
    severity: row.severity,
    subject,
    since,
    words: words.length > maxWords ? `${words.slice(0, maxWords)}…` : words,
    remedy: remedy ?? fill(row.remedy, subject, subject),
    path: path ?? fill(row.path, encodeURIComponent(subject), ''),
  };
}

const maxWords = 400;

/** Worst first: by severity, then the order of the table, then the oldest. */
export function worstFirst(findings: readonly HealthFinding[]): HealthFinding[] {
  const kinds = Object.keys(healthTable);
  return findings.toSorted(
    (one, other) =>
      healthSeverities.indexOf(one.severity) - healthSeverities.indexOf(other.severity) ||
      kinds.indexOf(one.kind) - kinds.indexOf(other.kind) ||
      (one.since ?? Number.POSITIVE_INFINITY) - (other.since ?? Number.POSITIVE_INFINITY) ||
      one.subject.localeCompare(other.subject),
  );
}

/** Whether it is a problem: intended states do not count. */
export function isTrouble({ severity }: HealthFinding): boolean {
  return severity !== 'info';
}

function fill(text: string, subject: string, empty: string): string {
  if (subject !== '') return text.replaceAll('SUBJECT', subject);
  // Without a name the complete parameter is removed.
  return text.replaceAll(/target=SUBJECT&| --target SUBJECT|#SUBJECT/g, '').replaceAll('SUBJECT', empty);
}

/** `1 study`, `3 studies`. */
export function count(howMany: number, one: string, many: string): string {
  return `${howMany} ${howMany === 1 ? one : many}`;
}

/** Kinds whose subject is a host or an id. */
const withoutName: ReadonlySet<HealthKind> = new Set([
  'reconcile',
  'clock-skew',
  'clock-jump',
  'configuration-refused',
  'configuration-outdated',
  'notes-not-written',
]);

/** The public part of a finding: no texts, hosts or ids, which would create ever more time series. */
export function publicFinding({ kind, severity, subject }: HealthFinding): PublicFinding {
  return { kind, severity, subject: withoutName.has(kind) ? '' : subject };
}
