import { createHash } from 'node:crypto';

/**
 * Up to 100 SOP Instance UIDs that differ in the last two digits only. Most devices count the instances of a series in
 * these digits, so a study has few blocks.
 */
export interface UidBlock {
  /** Which of the buckets in Redis has it: 4 hexadecimal digits. */
  readonly bucket: string;
  /** 2 bytes that identify it there. Blocks may share them: then unrelated studies are returned, too. */
  readonly hash: Buffer;
  /** Lowest and highest value of the last digits. */
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
    return { bucket: hash.toString('hex', 0, 2), hash: hash.subarray(2, 4), ...range };
  });
}

/** The hash of a study, 4 bytes. Two studies may have the same: then both are returned. */
export function studyHash(member: string): Buffer {
  return createHash('sha256').update(member).digest().subarray(0, 4);
}

/** Which of 4,096 hashes in Redis has the name of a study: 3 hexadecimal digits. */
export function nameShard(hash: Buffer): string {
  return hash.toString('hex', 0, 2).slice(0, 3);
}
