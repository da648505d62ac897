import { z } from 'zod';

import type { CallContext, Level } from '../call-context.ts';
import { requireFeature } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';

/**
 * Labels of a resource (1.12.0 and later, if the database supports them): letters, digits, `-` and `_`. On other servers
 * every call here fails with `unsupported`.
 */
export function createLabelCalls(context: CallContext, level: Level) {
  const { transport } = context;

  async function where(id: string, options: CallOptions | undefined, label?: string) {
    const features = await context.features(options);
    requireFeature(
      features,
      features.labels,
      'labels',
      'it requires 1.12.0 or newer and a database that supports labels',
    );
    return target(label === undefined ? path`/${level}/${id}/labels` : path`/${level}/${id}/labels/${label}`);
  }

  return {
    async labels(id: string, options?: CallOptions): Promise<string[]> {
      const at = await where(id, options);
      return transport.json(z.array(z.string()), { method: 'GET', target: at, options });
    },

    /** Adding a label that exists already changes nothing. */
    async addLabel(id: string, label: string, options?: CallOptions): Promise<void> {
      const at = await where(id, options, label);
      await transport.text({ method: 'PUT', target: at, body: '', idempotent: true, options });
    },

    /** Removing a label that does not exist changes nothing. */
    async removeLabel(id: string, label: string, options?: CallOptions): Promise<void> {
      const at = await where(id, options, label);
      await transport.text({ method: 'DELETE', target: at, options });
    },
  };
}
