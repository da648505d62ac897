import { z } from 'zod';

import type { CallContext, Level } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';

/** A data element in Orthanc's full form. */
export interface FullTag {
  Name: string;
  /** `String`, `Sequence`, `Null`, `TooLong`, `Binary`. */
  Type: string;
  Value: unknown;
}

/**
 * How tags are written:
 * - `simplified`: by keyword, `{ PatientID: 'X' }`
 * - `short`: by number, `{ '0010,0020': 'X' }`
 * - `full`: by number, with name and type
 *
 * Values are text, null (absent, binary or too long), or a list of items of the same form.
 */
export type TagFormat = 'simplified' | 'short' | 'full';

export type Tags<F extends TagFormat> = Record<string, F extends 'full' ? FullTag : unknown>;

export interface TagOptions<F extends TagFormat> extends CallOptions {
  /** Default `simplified`. */
  format?: F | undefined;
}

const anySchema = z.record(z.string(), z.unknown());
const fullSchema = z.record(z.string(), z.looseObject({ Name: z.string(), Type: z.string(), Value: z.unknown() }));

const flags = { simplified: { simplify: true }, short: { short: true }, full: {} } as const;

export function tagsSchemaOf<F extends TagFormat>(format: F | undefined): z.ZodType<Tags<F>> {
  return (format === 'full' ? fullSchema : anySchema) as unknown as z.ZodType<Tags<F>>;
}

/** Reads a dataset written as JSON from `where`. */
export async function readTags<F extends TagFormat>(
  context: CallContext,
  where: string,
  options: TagOptions<F> | undefined,
): Promise<Tags<F>> {
  const at = target(where, flags[options?.format ?? 'simplified']);
  return context.transport.json(tagsSchemaOf(options?.format), { method: 'GET', target: at, options });
}

/** Tags of the children of a patient, study or series. */
export function createContainerTagCalls(context: CallContext, level: Exclude<Level, 'instances'>) {
  return {
    /** Tags that all instances below have in common. */
    async sharedTags<F extends TagFormat = 'simplified'>(id: string, options?: TagOptions<F>): Promise<Tags<F>> {
      return readTags(context, path`/${level}/${id}/shared-tags`, options);
    },

    /** Tags of every instance below, by Orthanc's identifier. Reads each file: slow for large studies. */
    async instancesTags<F extends TagFormat = 'simplified'>(
      id: string,
      options?: TagOptions<F>,
    ): Promise<Record<string, Tags<F>>> {
      const at = target(path`/${level}/${id}/instances-tags`, flags[options?.format ?? 'simplified']);
      const schema = z.record(z.string(), tagsSchemaOf(options?.format));
      return context.transport.json(schema, { method: 'GET', target: at, options });
    },

    /** Tags of the module of this level (PS3.3, section A.1), as the first instance has them. */
    async moduleTags<F extends TagFormat = 'simplified'>(id: string, options?: TagOptions<F>): Promise<Tags<F>> {
      return readTags(context, path`/${level}/${id}/module`, options);
    },
  };
}
