import type { CallContext, Level } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import { headerOf } from '../http/transport.ts';
import type { CallOptions } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';
import { metadataSchema } from '../schema.ts';
import type { Metadata } from '../schema.ts';

export interface MetadataValue {
  value: string;
  /** Revision of the value, to be given to a later write. Undefined from a server before 1.9.2. */
  etag: string | undefined;
}

export interface RevisionOptions extends CallOptions {
  /**
   * Write only if the value is still the one read with this etag, else fail with `conflict`. Without it the write wins
   * over others, also where `CheckRevisions` is on. A server without revisions ignores it.
   */
  etag?: string | undefined;
}

/** Most attempts to be the last writer where revisions are checked. */
const maxAttempts = 5;

/**
 * Metadata of a resource. Names are Orthanc's (`LastUpdate`), those of `UserMetadata` in its configuration, or numbers
 * from 1024; only the latter two may be written.
 */
export function createMetadataCalls(context: CallContext, level: Level) {
  const { transport } = context;
  const limitBytes = transport.options.maxJsonBytes;

  function where(id: string, name: string) {
    return target(`/${level}${path`/${id}/metadata/${name}`}`);
  }

  /** @throws OrthancError `not-found` when there is no such metadata */
  async function metadataValue(id: string, name: string, options?: CallOptions): Promise<MetadataValue> {
    const answer = await transport.whole({ method: 'GET', target: where(id, name), options }, limitBytes);
    return { value: answer.body.toString('utf8'), etag: headerOf(answer.headers, 'etag') };
  }

  /** Runs a write; where the server wants a revision that the caller did not give, with the one that is there now. */
  async function asLastWriter<T>(
    id: string,
    name: string,
    options: RevisionOptions | undefined,
    write: (etag: string | undefined) => Promise<T>,
  ): Promise<T> {
    let etag = options?.etag;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await write(etag);
      } catch (error) {
        const lost = error instanceof OrthancError && error.code === 'conflict' && options?.etag === undefined;
        if (!lost || attempt >= maxAttempts) throw error;
        etag = (await metadataValue(id, name, options)).etag;
      }
    }
  }

  return {
    metadataValue,

    /** All metadata of a resource by name. */
    async metadata(id: string, options?: CallOptions): Promise<Metadata> {
      const all = target(`/${level}${path`/${id}/metadata`}`, { expand: true });
      return transport.json(metadataSchema, { method: 'GET', target: all, options });
    },

    /**
     * @returns the etag of the new value
     * @throws OrthancError `conflict` when `etag` is no longer the latest, `forbidden` for a name of Orthanc's own
     */
    async setMetadata(id: string, name: string, value: string, options?: RevisionOptions): Promise<string | undefined> {
      return asLastWriter(id, name, options, async (etag) => {
        const headers = { 'content-type': 'text/plain', ...ifMatch(etag) };
        const request = { method: 'PUT', target: where(id, name), body: value, headers, options } as const;
        // With a revision a second attempt would meet its own first one.
        const answer = await transport.whole({ ...request, idempotent: etag === undefined }, limitBytes);
        return headerOf(answer.headers, 'etag');
      });
    },

    /** @throws OrthancError `conflict`, `forbidden`, `not-found` */
    async deleteMetadata(id: string, name: string, options?: RevisionOptions): Promise<void> {
      await asLastWriter(id, name, options, (etag) =>
        transport.text({ method: 'DELETE', target: where(id, name), headers: ifMatch(etag), options }),
      );
    },
  };
}

function ifMatch(etag: string | undefined): Record<string, string> {
  return etag === undefined ? {} : { 'if-match': etag };
}
