import { redisKeys, type RedisKeys } from '@dicom-dispatch/state/keys';

/** The keys of the registry in `packages/state/src/keys`, which says what each holds and how long it lives. */
export function operationKeys(prefix: string): RedisKeys {
  return redisKeys(prefix);
}
