import { lockOutProblems } from '@dicom-dispatch/operations';
import { configValue } from '@dicom-dispatch/runtime';
import type { FastifyRequest } from 'fastify';

/**
 * Why an administrator must not make a change: no administrator would be left, or they would lose their own role.
 *
 * @param before - text of the current configuration
 * @param after - text of the new one; invalid YAML is rejected as such
 */
export function lockOut(
  { identity }: Pick<FastifyRequest, 'identity'>,
  before: string,
  after: string,
): readonly string[] {
  if (identity?.role !== 'administrator') return [];
  try {
    return lockOutProblems(configValue(before), configValue(after), identity);
  } catch {
    return [];
  }
}
