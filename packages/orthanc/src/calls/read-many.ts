import { z } from 'zod';

import type { CallContext, Level } from '../call-context.ts';
import { eachBounded } from '../each-bounded.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';
import { levelNames } from './find.ts';
import { schemaOf } from './resource-calls.ts';
import type { ResourceOf } from './resource-calls.ts';

/** Parallel requests if one request is not sufficient. */
const concurrency = 8;

/**
 * Resources by Orthanc ids, in any order; those that do not exist are omitted. One request, or one each if
 * the server has no `/tools/bulk-content`, a proxy rejects it, or one of the resources was deleted.
 */
export async function readMany<L extends Level>(
  context: CallContext,
  level: L,
  ids: readonly string[],
  options: CallOptions | undefined,
): Promise<ResourceOf[L][]> {
  const { transport } = context;
  if (ids.length === 0) return [];
  if ((await context.features(options)).bulkContent) {
    try {
      return await transport.json(z.array(schemaOf(level)), {
        method: 'POST',
        target: target('/tools/bulk-content'),
        json: { Resources: ids, Level: levelNames[level], Metadata: false },
        idempotent: true,
        options,
      });
    } catch (error) {
      if (!(error instanceof OrthancError) || ![403, 404, 405].includes(error.status ?? 0)) throw error;
    }
  }
  const read: ResourceOf[L][] = [];
  await eachBounded(ids, concurrency, async (id) => {
    try {
      const where = target(path`/${level}/${id}`);
      read.push(await transport.json(schemaOf(level), { method: 'GET', target: where, options }));
    } catch (error) {
      if (!(error instanceof OrthancError) || error.code !== 'not-found') throw error;
    }
  });
  return read;
}
