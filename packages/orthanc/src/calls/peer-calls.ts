import { z } from 'zod';

import type { CallContext } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';
import { systemSchema } from '../schema.ts';
import type { System } from '../schema.ts';
import { jobReferenceSchema } from './job-schema.ts';
import { storeResultSchema } from './store-result.ts';
import type { StoreRequest, StoreResult } from './store-result.ts';

/** Without its password, which Orthanc does not return. */
const peerSchema = z.looseObject({ Url: z.string(), Username: z.string().optional() });
export type Peer = z.output<typeof peerSchema>;

export interface PeerSettings {
  Url: string;
  Username?: string;
  Password?: string;
  HttpHeaders?: Readonly<Record<string, string>>;
  [further: string]: unknown;
}

/** Other Orthanc servers in the configuration of this one, by their symbolic name. */
export function createPeerCalls(context: CallContext) {
  const { transport } = context;

  async function post<S extends z.ZodType>(name: string, schema: S, json: unknown, options?: CallOptions) {
    const where = target(path`/peers/${name}/store`);
    return transport.json(schema, { method: 'POST', target: where, json, options });
  }

  return {
    async names(options?: CallOptions): Promise<string[]> {
      return transport.json(z.array(z.string()), { method: 'GET', target: target('/peers'), options });
    },

    /** All peers with their settings, by name. */
    async list(options?: CallOptions): Promise<Record<string, Peer>> {
      const where = target('/peers', { expand: true });
      return transport.json(z.record(z.string(), peerSchema), { method: 'GET', target: where, options });
    },

    /** Adds or replaces a peer: until Orthanc restarts, or permanently with `OrthancPeersInDatabase`. */
    async set(name: string, peer: PeerSettings, options?: CallOptions): Promise<void> {
      const where = target(path`/peers/${name}`);
      await transport.text({ method: 'PUT', target: where, json: peer, idempotent: true, options });
    },

    async delete(name: string, options?: CallOptions): Promise<void> {
      await transport.text({ method: 'DELETE', target: target(path`/peers/${name}`), options });
    },

    /** `/system` of the peer, as Orthanc reaches it: the test of a connection. */
    async system(name: string, options?: CallOptions): Promise<System> {
      const where = target(path`/peers/${name}/system`);
      return transport.json(systemSchema, { method: 'GET', target: where, options });
    },

    /** Sends resources of any level. The server sends nothing until it is done. */
    async store(name: string, request: StoreRequest, options?: CallOptions): Promise<StoreResult> {
      return post(name, storeResultSchema, { ...request, Synchronous: true }, options);
    },

    /** Sends as a job. */
    async storeJob(name: string, request: StoreRequest, options?: CallOptions): Promise<string> {
      return (await post(name, jobReferenceSchema, { ...request, Asynchronous: true }, options)).ID;
    },
  };
}
