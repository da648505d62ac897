import { createHash } from 'node:crypto';

/**
 * Up to 100 SOP Instance UIDs that differ in the last two digits only. Most devices count the instances of a series there, so
 * that a study has few blocks.
 */
export interface UidBlock {
  /** Which of the hashes in Redis has it: 4 hexadecimal digits. */
  readonly shard: string;
  /** Its field there: 4 bytes. */
  readonly field: Buffer;
  /** Lowest and highest value of the last digits that are meant. */
  readonly low: number;
  readonly high: number;
}

/** The blocks of some SOP Instance UIDs. */
export function blocksOf(uids: Iterable<string>): UidBlock[] {
  const blocks = new Map<string, { low: number; high: number }>();
  for (const uid of uids) {
    const [, head = uid, tail = '0'] = /^(.*?)(\d{1,2})$/.exec(uid) ?? [];
    const value = Number(tail);
    const known = blocks.get(head);
    if (!known) blocks.set(head, { low: value, high: value });
    else Object.assign(known, { low: Math.min(known.low, value), high: Math.max(known.high, value) });
  }
  return Array.from(blocks, ([head, range]) => {
    const hash = createHash('sha256').update(head).digest();
    return { shard: hash.toString('hex', 0, 2), field: hash.subarray(2, 6), ...range };
  });
}

/** A study in 5 bytes: the first two tell where its name is kept. Two may have the same: both are named then. */
export function studyHash(member: string): Buffer {
  return createHash('sha256').update(member).digest().subarray(0, 5);
}
