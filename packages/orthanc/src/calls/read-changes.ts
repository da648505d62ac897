import type { CallContext } from '../call-context.ts';
import { target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';
import { changesSchema } from '../schema.ts';
import type { Change, Changes } from '../schema.ts';

export interface ChangesQuery {
  /** Sequence number after which the page begins; the change with this number is excluded. Default 0: from the start. */
  since?: number;
  /** Maximum number of changes on the page. Default 100. */
  limit?: number;
  /**
   * Only changes of this type, e.g. `StableStudy`. Always filtered here, and by the server, too, if it supports this.
   * Otherwise a page may be empty although more changes follow: continue until `Done`, from `Last`.
   */
  type?: string;
}

/**
 * A page of `/changes`. Note that the feed has gaps (deleting a study deletes its changes), and that the `Last` of an empty
 * page is the requested `since`, not the last change of the server: for this see `lastChange`.
 *
 * @throws OrthancError
 */
export async function readChanges(
  context: CallContext,
  query: ChangesQuery,
  options: CallOptions | undefined,
): Promise<Changes> {
  const { since = 0, limit = 100, type } = query;
  const filters = type !== undefined && (await context.features(options)).changesTypeFilter;
  const page = await context.transport.json(changesSchema, {
    method: 'GET',
    target: target('/changes', { since, limit, type: filters ? type : undefined }),
    options,
  });
  if (type === undefined) return page;
  return { ...page, Changes: page.Changes.filter((change) => change.ChangeType === type) };
}

/** The newest change (`/changes?last`), or undefined if there is none. */
export async function readLastChange(
  context: CallContext,
  options: CallOptions | undefined,
): Promise<Change | undefined> {
  const page = await context.transport.json(changesSchema, {
    method: 'GET',
    target: target('/changes', { last: true }),
    options,
  });
  return page.Changes.at(-1);
}
