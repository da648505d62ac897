import { chainHash, type AuditEntry } from './audit-entry.ts';

/** Result of checking a chain of entries. */
export interface AuditVerdict {
  readonly entries: number;
  /** Entries of versions without hashes, at the beginning. */
  readonly unchained: number;
  /** Entries that do not match the previous one: one of the two was changed, or entries between them are missing. At most 20. */
  readonly broken: readonly { readonly id: string; readonly at: number; readonly reason: string }[];
  /** Hash of the newest entry: if it is stored elsewhere, a missing end of the log can be detected later. */
  readonly head: string | undefined;
}

const maxBroken = 20;

/**
 * Checks that each entry matches the previous one.
 *
 * @param expected - an entry that must be present, as stored in Redis or by an operator
 */
export async function verifyAudit(
  entries: AsyncIterable<AuditEntry> | Iterable<AuditEntry>,
  expected?: { readonly hash: string },
): Promise<AuditVerdict> {
  let count = 0;
  let unchained = 0;
  let before: string | undefined;
  const broken: { id: string; at: number; reason: string }[] = [];
  const report = (entry: Pick<AuditEntry, 'id' | 'at'>, reason: string): void => {
    if (broken.length < maxBroken) broken.push({ id: entry.id, at: entry.at, reason });
  };
  let last: AuditEntry | undefined;
  let isExpectedSeen = expected === undefined;
  for await (const entry of entries) {
    count += 1;
    last = entry;
    if (entry.hash === '') {
      if (before === undefined) unchained += 1;
      else report(entry, 'has no hash');
      continue;
    }
    // The first stored entry is accepted as it is if the previous ones were removed for their age.
    if (before !== undefined && chainHash(before, entry) !== entry.hash) {
      report(entry, 'does not match the previous entry: one of them was changed, or entries between them were removed');
    }
    before = entry.hash;
    if (entry.hash === expected?.hash) isExpectedSeen = true;
  }
  if (!isExpectedSeen)
    report(last ?? { id: '', at: 0 }, 'the newest known entry is missing: the end of the log was removed');
  return { entries: count, unchained, broken, head: before };
}
