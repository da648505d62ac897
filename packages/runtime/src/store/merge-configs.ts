import { diff3Merge } from 'node-diff3';

/**
 * Merges two changes of one text, line by line.
 *
 * @returns undefined when both have changed the same lines
 */
export function mergeConfigs(base: string, mine: string, theirs: string): string | undefined {
  const parts = diff3Merge(mine.split('\n'), base.split('\n'), theirs.split('\n'), { excludeFalseConflicts: true });
  if (parts.some(({ conflict }) => conflict !== undefined)) return undefined;
  return parts.flatMap(({ ok }) => ok ?? []).join('\n');
}
