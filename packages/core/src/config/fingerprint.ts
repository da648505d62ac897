import { createHash } from 'node:crypto';
import { Secret } from './secret.ts';

/** Changes with a part of a configuration, including its secrets; reveals none of it. */
export function fingerprint(value: unknown): string {
  const text = JSON.stringify(value, function (this: unknown, key: string, shown: unknown) {
    const raw = (this as Record<string, unknown>)[key];
    if (raw instanceof Secret) return `secret ${createHash('sha256').update(raw.reveal()).digest('hex')}`;
    if (typeof shown !== 'object' || shown === null || Array.isArray(shown)) return shown;
    return Object.fromEntries(Object.entries(shown).sort(([one], [other]) => (one < other ? -1 : 1)));
  });
  return createHash('sha256')
    .update(text ?? '')
    .digest('hex')
    .slice(0, 16);
}
