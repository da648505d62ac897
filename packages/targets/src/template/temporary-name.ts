import { randomUUID } from 'node:crypto';
import { shortHash } from './fit-bytes.ts';

/** Ours alone: names from templates never begin with a dot, and who watches a folder passes over hidden files. */
export const hiddenNames = '.dispatch-{id}.part';
const idPattern = '([0-9a-f]{12})-[0-9a-f]{12}';
const claimPattern = /^\.dispatch-[0-9a-f]{24}-claim\.part$/;
const abandonedAfterMs = 24 * 3_600_000;

/**
 * A new temporary name; it tells the delivery, so that a later attempt finds what an earlier one left. The last group of
 * a UUID is random, and Node keeps random bytes for UUIDs.
 *
 * @param form - with `{id}` in it
 */
export function temporaryName(deliveryId: string, form = hiddenNames): string {
  return form.replace('{id}', `${shortHash(deliveryId, 12)}-${randomUUID().slice(-12)}`);
}

/** The name by which a name in the same folder is claimed, the same for everybody who wants it. */
export function claimName(name: string): string {
  // Names that are one on a file system that folds case, or composes characters, have one claim.
  return `.dispatch-${shortHash(name.normalize('NFC').toLowerCase(), 24)}-claim.part`;
}

/**
 * Whether a name is that of a temporary file to remove: `ours` = of an earlier attempt of this delivery, which the
 * caller owns alone; `old` = of another, to be removed when nobody has written to it for a day; undefined = to be left.
 *
 * @param form - of temporary names; those of the usual form are known in any case
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
