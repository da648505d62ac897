import type { CallOptions } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';

/** For writes of metadata and attachments, which have revisions since 1.9.2. */
export interface RevisionOptions extends CallOptions {
  /**
   * Write only if the value still has the etag that was read, otherwise fail with `conflict`; effective if Orthanc's
   * `CheckRevisions` is on. Without an etag the write overwrites others even then.
   */
  etag?: string | undefined;
}

/** Maximum attempts of a write if other writers change the value in between, where revisions are checked. */
const maxAttempts = 5;

/** Runs a write; if the server requires a revision that the caller did not set, with the current one. */
export async function writeRevision<T>(
  options: RevisionOptions | undefined,
  readEtag: () => Promise<string | undefined>,
  write: (etag: string | undefined) => Promise<T>,
): Promise<T> {
  let etag = options?.etag;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await write(etag);
    } catch (error) {
      const lost = error instanceof OrthancError && error.code === 'conflict' && options?.etag === undefined;
      if (!lost || attempt >= maxAttempts) throw error;
      etag = await readEtag();
    }
  }
}

export function ifMatch(etag: string | undefined): Record<string, string> {
  return etag === undefined ? {} : { 'if-match': etag };
}
