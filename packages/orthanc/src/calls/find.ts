import { z } from 'zod';

import type { CallContext, Level } from '../call-context.ts';
import { requireFeature } from '../call-context.ts';
import { target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';
import { OrthancError } from '../orthanc-error.ts';
import { idsSchema } from '../schema.ts';
import { schemaOf } from './resource-calls.ts';
import type { ResourceOf } from './resource-calls.ts';

export interface FindQuery<L extends Level> {
  level: L;
  /** Tags to match as by C-FIND: `*` and `?`, ranges of dates (`20240101-`), lists by backslash. Empty: all. */
  query: Readonly<Record<string, string>>;
  since?: number;
  /** Default all: then one response contains them, which `maxJsonBytes` limits. */
  limit?: number;
  /** Default false. */
  caseSensitive?: boolean;
  /** Only resources with these labels (1.12.0 and newer). */
  labels?: readonly string[];
  /** Default `All`. */
  labelsConstraint?: 'All' | 'Any' | 'None';
  /** Tags to add as `RequestedTags` (1.11.0 and newer). */
  requestedTags?: readonly string[];
  /** Order of the result (1.12.5 and later, if the database supports it). */
  orderBy?: readonly { Type: 'DicomTag' | 'Metadata'; Key: string; Direction: 'ASC' | 'DESC' }[];
  /** Only resources below this study, by Orthanc id (1.12.5 and later, if the database supports it). */
  parentStudy?: string;
}

/** Names of the levels in bodies of requests. */
export const levelNames = { patients: 'Patient', studies: 'Study', series: 'Series', instances: 'Instance' } as const;

/** The part of a query that selects resources. */
function filterOf(query: FindQuery<Level>): Record<string, unknown> {
  return {
    Level: levelNames[query.level],
    Query: query.query,
    CaseSensitive: query.caseSensitive ?? false,
    ...(query.labels === undefined ? {} : { Labels: query.labels, LabelsConstraint: query.labelsConstraint ?? 'All' }),
    ...(query.parentStudy === undefined ? {} : { ParentStudy: query.parentStudy }),
  };
}

async function find<S extends z.ZodType>(
  context: CallContext,
  schema: S,
  query: FindQuery<Level>,
  expand: boolean,
  options: CallOptions | undefined,
): Promise<z.output<S>> {
  await checkSupport(context, query, options);
  return context.transport.json(schema, {
    method: 'POST',
    target: target('/tools/find'),
    json: {
      ...filterOf(query),
      Expand: expand,
      ...(query.since === undefined ? {} : { Since: query.since }),
      ...(query.limit === undefined ? {} : { Limit: query.limit }),
      ...(query.requestedTags === undefined ? {} : { RequestedTags: query.requestedTags }),
      ...(query.orderBy === undefined ? {} : { OrderBy: query.orderBy }),
    },
    idempotent: true,
    options,
  });
}

/** Older servers ignore unknown fields: without this check they would return too much. */
async function checkSupport(context: CallContext, query: FindQuery<Level>, options: CallOptions | undefined) {
  if (query.limit === 0) throw new OrthancError('bad-request', 'limit: 0 means all to some servers and none to others');
  const { labels, requestedTags, orderBy, parentStudy } = query;
  if ([labels, requestedTags, orderBy, parentStudy].every((each) => each === undefined)) return;
  const features = await context.features(options);
  const extended = 'it requires 1.12.5 or newer and a database with extended find';
  requireFeature(features, labels === undefined || features.labels, 'labels', 'it requires 1.12.0 or newer');
  requireFeature(
    features,
    requestedTags === undefined || features.requestedTags !== undefined,
    'requestedTags',
    'it requires 1.11.0 or newer',
  );
  requireFeature(features, orderBy === undefined || features.extendedFind, 'orderBy', extended);
  requireFeature(features, parentStudy === undefined || features.extendedFind, 'parentStudy', extended);
}

/**
 * Orthanc's identifiers of matching resources (`/tools/find`). The order is not defined, unless by `orderBy`.
 *
 * @throws OrthancError `unsupported` for a filter that this server would ignore
 */
export function findIds(
  context: CallContext,
  query: FindQuery<Level>,
  options: CallOptions | undefined,
): Promise<string[]> {
  return find(context, idsSchema, query, false, options);
}

/** Matching resources, expanded. */
export function findResources<L extends Level>(
  context: CallContext,
  query: FindQuery<L>,
  options: CallOptions | undefined,
): Promise<ResourceOf[L][]> {
  return find(context, z.array(schemaOf(query.level)), query, true, options);
}

const countSchema = z.object({ Count: z.number().int().nonnegative() });

/** Number of matches: by `/tools/count-resources` (1.12.5 and later), otherwise by listing them. */
export async function countResources(
  context: CallContext,
  query: Omit<FindQuery<Level>, 'since' | 'limit' | 'orderBy' | 'requestedTags'>,
  options: CallOptions | undefined,
): Promise<number> {
  if (!(await context.features(options)).countResources) return (await findIds(context, query, options)).length;
  await checkSupport(context, query, options);
  const where = target('/tools/count-resources');
  const request = { method: 'POST', target: where, json: filterOf(query), idempotent: true, options } as const;
  return (await context.transport.json(countSchema, request)).Count;
}

const foundSchema = z.object({ ID: z.string(), Path: z.string(), Type: z.string() });
export type LookupResult = z.output<typeof foundSchema>;

/** Resources of all levels with exactly this `identifier` (PatientID, a UID, AccessionNumber). */
export function lookup(
  context: CallContext,
  identifier: string,
  options: CallOptions | undefined,
): Promise<LookupResult[]> {
  return context.transport.json(z.array(foundSchema), {
    method: 'POST',
    target: target('/tools/lookup'),
    body: identifier,
    headers: { 'content-type': 'text/plain' },
    idempotent: true,
    options,
  });
}
