import { z } from 'zod';

import type { CallContext } from '../call-context.ts';
import { requireFeature } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';
import { jobReferenceSchema } from './job-schema.ts';
import { storeResultSchema } from './store-result.ts';
import type { StoreRequest, StoreResult } from './store-result.ts';

const modalitySchema = z.looseObject({ AET: z.string(), Host: z.string(), Port: z.number() });

/** A DICOM peer in Orthanc's configuration; further fields as in `DicomModalities` (AllowFind, Manufacturer, Timeout, …). */
export type Modality = z.output<typeof modalitySchema>;

export type QueryLevel = 'Patient' | 'Study' | 'Series' | 'Instance';

export interface RetrieveRequest {
  Level: QueryLevel;
  /** The identifiers of each resource down to the level: `{ StudyInstanceUID: '…' }`. */
  Resources: readonly Readonly<Record<string, string>>[];
  /** Where to: AE title. Default Orthanc's own. */
  TargetAet?: string;
  /** Seconds without a response of the peer. */
  Timeout?: number;
  [further: string]: unknown;
}

export interface ModalityQuery {
  Level: QueryLevel;
  /** Tags to match and to return (empty value). */
  Query: Readonly<Record<string, string>>;
  /** Default true: Orthanc adapts the query to the peer's manufacturer. */
  Normalize?: boolean;
  LocalAet?: string;
  Timeout?: number;
}

/** DICOM peers, by their symbolic name. Faults of the peer arrive as `server-error` with Orthanc's status and details. */
export function createModalityCalls(context: CallContext) {
  const { transport } = context;

  async function post<S extends z.ZodType>(name: string, act: string, schema: S, json: unknown, options?: CallOptions) {
    const where = target(path`/modalities/${name}/${act}`);
    return transport.json(schema, { method: 'POST', target: where, json, options });
  }

  return {
    async names(options?: CallOptions): Promise<string[]> {
      return transport.json(z.array(z.string()), { method: 'GET', target: target('/modalities'), options });
    },

    /** All peers with their settings, by name. */
    async list(options?: CallOptions): Promise<Record<string, Modality>> {
      const where = target('/modalities', { expand: true });
      return transport.json(z.record(z.string(), modalitySchema), { method: 'GET', target: where, options });
    },

    /** @throws OrthancError `not-found` */
    async read(name: string, options?: CallOptions): Promise<Modality> {
      const where = target(path`/modalities/${name}/configuration`);
      return transport.json(modalitySchema, { method: 'GET', target: where, options });
    },

    /** Adds or replaces a peer: until Orthanc restarts, or permanently with `DicomModalitiesInDatabase`. */
    async set(name: string, modality: Modality, options?: CallOptions): Promise<void> {
      const where = target(path`/modalities/${name}`);
      await transport.text({ method: 'PUT', target: where, json: modality, idempotent: true, options });
    },

    async delete(name: string, options?: CallOptions): Promise<void> {
      await transport.text({ method: 'DELETE', target: target(path`/modalities/${name}`), options });
    },

    /** C-ECHO (PS3.4, annex A). `timeoutSeconds`: how long Orthanc waits for the peer. */
    async echo(name: string, options?: CallOptions & { timeoutSeconds?: number }): Promise<void> {
      const json = options?.timeoutSeconds === undefined ? {} : { Timeout: options.timeoutSeconds };
      await post(name, 'echo', z.unknown(), json, options);
    },

    /** C-FIND. Orthanc stores the results under the returned id: see `queries`. */
    async query(name: string, query: ModalityQuery, options?: CallOptions): Promise<string> {
      return (await post(name, 'query', jobReferenceSchema, query, options)).ID;
    },

    /** C-MOVE. The server sends nothing until it is done. */
    async move(name: string, request: RetrieveRequest, options?: CallOptions): Promise<void> {
      await post(name, 'move', z.unknown(), request, options);
    },

    /** C-MOVE as a job (1.11.1 and newer). */
    async moveJob(name: string, request: RetrieveRequest, options?: CallOptions): Promise<string> {
      const features = await context.features(options);
      requireFeature(features, features.asynchronousMove, 'modalities.moveJob', 'it requires 1.11.1 or newer');
      return (await post(name, 'move', jobReferenceSchema, { ...request, Asynchronous: true }, options)).ID;
    },

    /** C-GET into this Orthanc, as a job (1.12.6 and newer). */
    async getJob(name: string, request: RetrieveRequest, options?: CallOptions): Promise<string> {
      const features = await context.features(options);
      requireFeature(features, features.dicomGet, 'modalities.getJob', 'it requires 1.12.6 or newer');
      return (await post(name, 'get', jobReferenceSchema, { ...request, Asynchronous: true }, options)).ID;
    },

    /**
     * C-STORE of resources of any level. The server sends nothing until it is done. Some may have failed: see
     * `FailedInstancesCount`.
     */
    async store(name: string, request: StoreRequest, options?: CallOptions): Promise<StoreResult> {
      return post(name, 'store', storeResultSchema, { ...request, Synchronous: true }, options);
    },

    /** C-STORE as a job. */
    async storeJob(name: string, request: StoreRequest, options?: CallOptions): Promise<string> {
      return (await post(name, 'store', jobReferenceSchema, { ...request, Asynchronous: true }, options)).ID;
    },
  };
}
