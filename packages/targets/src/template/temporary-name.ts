import { randomUUID } from 'node:crypto';
import { shortHash } from './fit-bytes.ts';

/** Names from templates never begin with a dot, and programs that watch a folder skip hidden files. */
export const hiddenNames = '.dispatch-{id}.part';
const idPattern = '([0-9a-f]{12})-[0-9a-f]{12}';
const claimPattern = /^\.dispatch-[0-9a-f]{24}-claim\.part$/;
const abandonedAfterMs = 24 * 3_600_000;

/**
 * A new temporary name; it contains the delivery, so that a later attempt finds files of an earlier one. The last group of
 * a UUID is random, and Node caches random bytes for UUIDs.
 *
 * @param form - with `{id}` in it
 */
export function temporaryName(deliveryId: string, form = hiddenNames): string {
  return form.replace('{id}', `${shortHash(deliveryId, 12)}-${randomUUID().slice(-12)}`);
}

/** The temporary name of a file that tests a folder, always the same: one that cannot be removed is the only one. */
export function probeName(form = hiddenNames): string {
  return form.replace('{id}', `${shortHash('probe', 12)}-${'0'.repeat(12)}`);
}

/** The name of the file that claims another name in the same folder, the same for every process. */
export function claimName(name: string): string {
  // Names that are equal on a file system that folds case, or composes characters, have the same claim.
  return `.dispatch-${shortHash(name.normalize('NFC').toLowerCase(), 24)}-claim.part`;
}

/**
 * Whether a name is that of a temporary file to remove: `ours` = of an earlier attempt of this delivery, which only the caller
 * owns; `old` = of another delivery, or a claim, to be removed if it was not written to for a day; undefined = to be kept.
 *
 * @param form - of temporary names; those of the default form are recognised in any case
 */
export function leftOverKind(name: string, deliveryId: string, form = hiddenNames): 'ours' | 'old' | undefined {
  if (claimPattern.test(name)) return 'old';
  const match = expressionOf(form).exec(name) ?? expressionOf(hiddenNames).exec(name);
  if (!match) return undefined;
  return match[1] === shortHash(deliveryId, 12) ? 'ours' : 'old';
}

const expressions = new Map<string, RegExp>();

function expressionOf(form: string): RegExp {
  let expression = expressions.get(form);
  if (!expression) {
    const [before = '', after = ''] = form.split('{id}').map((text) => text.replaceAll(/[^\w]/g, String.raw`\$&`));
    expression = new RegExp(`^${before}${idPattern}${after}$`);
    expressions.set(form, expression);
  }
  return expression;
}

export function isAbandoned(modifiedMs: number, nowMs = Date.now()): boolean {
  return nowMs - modifiedMs > abandonedAfterMs;
}
