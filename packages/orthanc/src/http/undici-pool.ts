import { createRequire } from 'node:module';
import type * as Undici from 'undici';
import type { Dispatcher, Pool } from 'undici';

interface Parts {
  readonly Pool: typeof Pool;
  /** `Dispatcher.request`, as a separate function. */
  readonly request: (this: Pool, options: Dispatcher.RequestOptions) => Promise<Dispatcher.ResponseData>;
}

const parts = load(createRequire(import.meta.url));

export type { Dispatcher, Pool };

export function openPool(origin: string, options: Pool.Options): Pool {
  return new parts.Pool(origin, options);
}

export function requestOf(pool: Pool, options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData> {
  return parts.request.call(pool, options);
}

/**
 * A pool and its requests are a third of undici. Its main module also loads fetch, web sockets, caches and
 * mocks, and each process would be 7 MB larger. If a release of undici has moved them, it is loaded completely.
 */
function load(require: NodeJS.Require): Parts {
  try {
    return {
      Pool: require('undici/lib/dispatcher/pool.js') as Parts['Pool'],
      request: require('undici/lib/api/api-request.js') as Parts['request'],
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    const whole = require('undici') as typeof Undici;
    return { Pool: whole.Pool, request: whole.Dispatcher.prototype.request as Parts['request'] };
  }
}
