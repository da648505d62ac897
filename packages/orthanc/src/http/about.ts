import { OrthancError } from '../orthanc-error.ts';
import type { CallName } from '../translate-error.ts';

/**
 * Rejects a response about another resource than requested: a cache in front of Orthanc may mix them up.
 *
 * @param ids - the resources of the response
 * @throws OrthancError `protocol`
 */
export function expectAbout(asked: string, ids: Iterable<string>, call: CallName): void {
  for (const id of ids) {
    if (id.toLowerCase() === asked.toLowerCase()) continue;
    const text = `${call.method} ${call.path}: the answer is about another resource; check what answers at url, e.g. a cache`;
    throw new OrthancError('protocol', text, { ...call, status: 200 });
  }
}
