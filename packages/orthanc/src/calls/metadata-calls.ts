import type { CallContext, Level } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import { headerOf } from '../http/transport.ts';
import type { CallOptions } from '../http/transport.ts';
import { tagsSchema } from '../schema.ts';
import type { Metadata } from '../schema.ts';
import { ifMatch, writeRevision } from './revision.ts';
import type { RevisionOptions } from './revision.ts';

export interface MetadataValue {
  value: string;
  /** Revision of the value, to be given to a later write. Undefined from a server before 1.9.2. */
  etag: string | undefined;
}

/**
 * Metadata of a resource. Names are Orthanc's (`LastUpdate`), those of `UserMetadata` in its configuration, or numbers
 * from 1024; only the latter two may be written.
 */
export function createMetadataCalls(context: CallContext, level: Level) {
  const { transport } = context;
  const limitBytes = transport.options.maxJsonBytes;

  function where(id: string, name: string) {
    return target(path`/${level}/${id}/metadata/${name}`);
  }

  /** @throws OrthancError `not-found` if the metadata do not exist */
  async function metadataValue(id: string, name: string, options?: CallOptions): Promise<MetadataValue> {
    const answer = await transport.whole({ method: 'GET', target: where(id, name), options }, limitBytes);
    return { value: answer.body.toString('utf8'), etag: headerOf(answer.headers, 'etag') };
  }

  const etagOf = (id: string, name: string, options?: CallOptions) => async () =>
    (await metadataValue(id, name, options)).etag;

  return {
    metadataValue,

    /** All metadata of a resource by name. */
    async metadata(id: string, options?: CallOptions): Promise<Metadata> {
      const all = target(path`/${level}/${id}/metadata`, { expand: true });
      return transport.json(tagsSchema, { method: 'GET', target: all, options });
    },

    /**
     * @returns the etag of the new value
     * @throws OrthancError `conflict` when `etag` is no longer the latest, `forbidden` for a name of Orthanc's own
     */
    async setMetadata(id: string, name: string, value: string, options?: RevisionOptions): Promise<string | undefined> {
      return writeRevision(options, etagOf(id, name, options), async (etag) => {
        const headers = { 'content-type': 'text/plain', ...ifMatch(etag) };
        const request = { method: 'PUT', target: where(id, name), body: value, headers, options } as const;
        // With an etag a repeated request would conflict with its own first attempt.
        const answer = await transport.whole({ ...request, idempotent: etag === undefined }, limitBytes);
        return headerOf(answer.headers, 'etag');
      });
    },

    /** @throws OrthancError `conflict`, `forbidden`, `not-found` */
    async deleteMetadata(id: string, name: string, options?: RevisionOptions): Promise<void> {
      await writeRevision(options, etagOf(id, name, options), (etag) =>
        transport.text({ method: 'DELETE', target: where(id, name), headers: ifMatch(etag), options }),
      );
    },
  };
}
