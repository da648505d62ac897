import { lockOutProblems } from '@dicom-dispatch/operations';
import { configValue } from '@dicom-dispatch/runtime';
import type { FastifyRequest } from 'fastify';

/**
 * Why an administrator must not make a change: nobody could administer afterwards, or not they.
 *
 * @param before - text of the configuration as it is
 * @param after - as it would be; one that is no YAML is refused for that
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
