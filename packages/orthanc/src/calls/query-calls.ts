import { z } from 'zod';

import type { CallContext } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';
import { jobReferenceSchema } from './job-schema.ts';

export interface QueryRetrieve {
  /** Only this answer, from 0. Default all. */
  answer?: number;
  /** Where to: AE title. Default Orthanc's own. */
  targetAet?: string;
  /** Seconds without a response of the peer. */
  timeoutSeconds?: number;
}

/** Results of `modalities.query`, which Orthanc stores (the latest 100 queries). */
export function createQueryCalls(context: CallContext) {
  const { transport } = context;

  function retrieveRequest(id: string, { answer, targetAet, timeoutSeconds }: QueryRetrieve) {
    const where =
      answer === undefined ? path`/queries/${id}/retrieve` : path`/queries/${id}/answers/${String(answer)}/retrieve`;
    const json = {
      ...(targetAet === undefined ? {} : { TargetAet: targetAet }),
      ...(timeoutSeconds === undefined ? {} : { Timeout: timeoutSeconds }),
    };
    return { method: 'POST', target: target(where), json } as const;
  }

  return {
    async ids(options?: CallOptions): Promise<string[]> {
      return transport.json(z.array(z.string()), { method: 'GET', target: target('/queries'), options });
    },

    /** The results of the peer, by keyword. */
    async answers(id: string, options?: CallOptions): Promise<Record<string, unknown>[]> {
      const where = target(path`/queries/${id}/answers`, { expand: true, simplify: true });
      const schema = z.array(z.record(z.string(), z.unknown()));
      return transport.json(schema, { method: 'GET', target: where, options });
    },

    /** C-MOVE of the answers. The server sends nothing until it is done. */
    async retrieve(id: string, request: QueryRetrieve = {}, options?: CallOptions): Promise<void> {
      const { json, ...rest } = retrieveRequest(id, request);
      await transport.json(z.unknown(), { ...rest, json: { ...json, Synchronous: true }, options });
    },

    /** C-MOVE of the answers as a job. */
    async retrieveJob(id: string, request: QueryRetrieve = {}, options?: CallOptions): Promise<string> {
      const { json, ...rest } = retrieveRequest(id, request);
      const started = { ...rest, json: { ...json, Asynchronous: true }, options };
      return (await transport.json(jobReferenceSchema, started)).ID;
    },

    async delete(id: string, options?: CallOptions): Promise<void> {
      await transport.text({ method: 'DELETE', target: target(path`/queries/${id}`), options });
    },
  };
}
