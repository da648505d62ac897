import { createRequire } from 'node:module';
import type * as Undici from 'undici';
import type { Dispatcher, Pool } from 'undici';

interface Parts {
  readonly Pool: typeof Pool;
  /** `Dispatcher.request`, as a function of its own. */
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
 * A pool and its requests are a third of undici: with fetch, web sockets, caches and mocks beside them, which its entry
 * loads all, each process would be 7 MB larger. A release of undici that has them elsewhere is loaded whole.
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
