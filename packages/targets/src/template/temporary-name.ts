import { randomUUID } from 'node:crypto';
import { shortHash } from './fit-bytes.ts';

/** Ours alone: names from templates never begin with a dot, and who watches a folder passes over hidden files. */
const pattern = /^\.dispatch-([0-9a-f]{12})-[0-9a-f]{12}\.part$/;
const claimPattern = /^\.dispatch-[0-9a-f]{24}-claim\.part$/;
const abandonedAfterMs = 24 * 3_600_000;

/**
 * A new temporary name; it tells the delivery, so that a later attempt finds what an earlier one left. The last group of
 * a UUID is random, and Node keeps random bytes for UUIDs.
 */
export function temporaryName(deliveryId: string): string {
  return `.dispatch-${shortHash(deliveryId, 12)}-${randomUUID().slice(-12)}.part`;
}

/** The name by which a name in the same folder is claimed, the same for everybody who wants it. */
export function claimName(name: string): string {
  // Names that are one on a file system that folds case, or composes characters, have one claim.
  return `.dispatch-${shortHash(name.normalize('NFC').toLowerCase(), 24)}-claim.part`;
}

/**
 * Whether a name is that of a temporary file to remove: `ours` = of an earlier attempt of this delivery, which the
 * caller owns alone; `old` = of another, to be removed when nobody has written to it for a day; undefined = to be left.
 */
export function leftOverKind(name: string, deliveryId: string): 'ours' | 'old' | undefined {
  if (claimPattern.test(name)) return 'old';
  const match = pattern.exec(name);
  if (!match) return undefined;
  return match[1] === shortHash(deliveryId, 12) ? 'ours' : 'old';
}

export function isAbandoned(modifiedMs: number, nowMs = Date.now()): boolean {
  return nowMs - modifiedMs > abandonedAfterMs;
}
