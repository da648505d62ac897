import { z } from 'zod';

import type { CallContext, Level } from '../call-context.ts';
import { requireFeature } from '../call-context.ts';
import { expectAbout } from '../http/about.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';
import { idsSchema, instanceSchema, patientSchema, seriesSchema, studySchema } from '../schema.ts';
import type { Instance, Patient, Series, Study } from '../schema.ts';

/** The resource of each level. */
export interface ResourceOf {
  patients: Patient;
  studies: Study;
  series: Series;
  instances: Instance;
}

const schemas = {
  patients: patientSchema,
  studies: studySchema,
  series: seriesSchema,
  instances: instanceSchema,
} as const;

/** The zod schema of a level's resources. */
export function schemaOf<L extends Level>(level: L): z.ZodType<ResourceOf[L]> {
  return schemas[level] as unknown as z.ZodType<ResourceOf[L]>;
}

export interface Page {
  /** How many to skip. Default 0. */
  since?: number;
  /** Maximum number. Default all: then one response contains them, which `maxJsonBytes` limits. */
  limit?: number;
}

export interface ReadOptions extends CallOptions {
  /** Tags to add as `RequestedTags`, also computed ones such as `ModalitiesInStudy` (1.11.0 and newer). */
  requestedTags?: readonly string[] | undefined;
}

const remainingSchema = z.object({
  RemainingAncestor: z.object({ ID: z.string(), Type: z.string() }).nullish(),
});

/** List, read and delete: the calls that all four levels have. */
export function createResourceCalls<L extends Level>(context: CallContext, level: L) {
  const { transport } = context;
  const schema = schemaOf(level);
  const root = `/${level}`;

  async function requestedTags(options: ReadOptions | undefined): Promise<Record<string, string>> {
    const tags = options?.requestedTags;
    if (tags === undefined || tags.length === 0) return {};
    const features = await context.features(options);
    const name = features.requestedTags ?? 'requestedTags';
    requireFeature(features, features.requestedTags !== undefined, 'requestedTags', 'it requires 1.11.0 or newer');
    return { [name]: tags.join(';') };
  }

  /** One page of resources, expanded. */
  async function list(page: Page = {}, options?: ReadOptions): Promise<ResourceOf[L][]> {
    const query = { expand: true, ...pageQuery(page), ...(await requestedTags(options)) };
    return transport.json(z.array(schema), { method: 'GET', target: target(root, query), options });
  }

  return {
    list,

    /** One page of Orthanc's identifiers. */
    async ids(page: Page = {}, options?: CallOptions): Promise<string[]> {
      return transport.json(idsSchema, { method: 'GET', target: target(root, pageQuery(page)), options });
    },

    /** All resources, a page at a time. Not a snapshot: with changes meanwhile a resource may be missed or returned twice. */
    async *each({ pageSize = 500 }: { pageSize?: number } = {}, options?: ReadOptions): AsyncGenerator<ResourceOf[L]> {
      for (let since = 0; ; since += pageSize) {
        const page = await list({ since, limit: pageSize }, options);
        yield* page;
        if (page.length < pageSize) return;
      }
    },

    /** @throws OrthancError `not-found`, `protocol` when the response is about another resource */
    async read(id: string, options?: ReadOptions): Promise<ResourceOf[L]> {
      const where = target(path`/${level}/${id}`, await requestedTags(options));
      const found = await transport.json(schema, { method: 'GET', target: where, options });
      expectAbout(id, [found.ID], { method: 'GET', path: where.path });
      return found;
    },

    /**
     * Does the resource exist? False only if Orthanc itself reports this.
     *
     * @throws OrthancError for every other response: a 404 of a proxy is no proof
     */
    async exists(id: string, options?: CallOptions): Promise<boolean> {
      try {
        // For a missing resource, the response to `/studies/{id}` is an empty 404; to this it is Orthanc's JSON error.
        const where = target(path`/${level}/${id}/metadata`);
        await transport.json(z.array(z.string()), { method: 'GET', target: where, options });
        return true;
      } catch (error) {
        if (error instanceof OrthancError && error.code === 'not-found' && error.isOrthancAnswer) return false;
        throw error;
      }
    },

    /**
     * Deletes the resource with all its children, and its parents if they have no other children.
     *
     * @returns the nearest ancestor that still exists, if there is one
     * @throws OrthancError `not-found`
     */
    async delete(id: string, options?: CallOptions): Promise<{ ID: string; Type: string } | undefined> {
      const where = target(path`/${level}/${id}`);
      const answer = await transport.json(remainingSchema, { method: 'DELETE', target: where, options });
      return answer.RemainingAncestor ?? undefined;
    },
  };
}

function pageQuery({ since, limit }: Page): { since?: number; limit?: number } {
  if (since === undefined && limit === undefined) return {};
  // Orthanc requires both or none. Before 1.12.5 a limit of 0 meant none at all, so "all" is a large number.
  return { since: since ?? 0, limit: limit ?? 2_000_000_000 };
}
