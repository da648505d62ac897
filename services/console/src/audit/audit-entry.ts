import { createHash } from 'node:crypto';

/** One action, or an attempted one. No patient data. */
export interface AuditEntry {
  readonly id: string;
  /** ms since 1970, by the clock of Redis */
  readonly at: number;
  readonly who: string;
  readonly role: string;
  /** `retry`, `sign-in`, … */
  readonly action: string;
  /** The object of the action: the id of a delivery, the name of a target … */
  readonly subject: string;
  readonly outcome: 'done' | 'refused' | 'failed';
  readonly detail: string;
  readonly address: string;
  /** SHA-256 of the entry and the hash of the previous one; empty in entries of versions without hashes. */
  readonly hash: string;
}

/** The values to record; time, id and hash are added when it is written. */
export type AuditFacts = Omit<AuditEntry, 'id' | 'at' | 'hash'>;

const maxLengths = { who: 100, role: 20, action: 100, subject: 200, outcome: 10, detail: 500, address: 64 } as const;

/** The stored fields: of limited length, without control characters that a terminal would interpret. */
export function bounded(facts: AuditFacts): AuditFacts {
  const entries = Object.entries(maxLengths).map(([name, length]) => {
    const text = facts[name as keyof typeof maxLengths];
    // eslint-disable-next-line no-control-regex
    return [name, text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, ' ').slice(0, length)] as const;
  });
  return Object.fromEntries(entries) as unknown as AuditFacts;
}

/** The hash of an entry, which includes that of the previous entry. */
export function chainHash(before: string, { at, ...facts }: AuditFacts & { readonly at: number }): string {
  const { who, role, action, subject, outcome, detail, address } = facts;
  const text = JSON.stringify([before, at, who, role, action, subject, outcome, detail, address]);
  return createHash('sha256').update(text).digest('hex');
}
