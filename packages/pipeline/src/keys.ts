import { redisKeys, type RedisKeys } from '@dicom-dispatch/state/keys';

/** The keys of the registry in `packages/state/src/keys`, which documents the content and lifetime of each. */
export function operationKeys(prefix: string): RedisKeys {
  return redisKeys(prefix);
}
