import type { CacheConfig, Retention } from '@dicom-dispatch/core';

/** How results of one type are stored. `maxAgeMs` 0 = no limit. */
export interface CachePolicy {
  readonly retention: Retention;
  readonly maxAgeMs: number;
  readonly compression: boolean;
}

/** Defaults of built-in types, for what the configuration of the type does not set. They precede the general defaults. */
const usual: Readonly<Record<string, Partial<Omit<CachePolicy, 'retention'>>>> = {
  study: { maxAgeMs: 3_600_000 },
  query: { maxAgeMs: 600_000 },
  // Pixel data that is worth keeping is mostly compressed already.
  'transformed-instance': { compression: false },
};

/** The built-in result types. */
export const resultTypes = ['study', 'manifest', 'instance-meta', 'transformed-instance', 'query'] as const;

export function policyFor(config: CacheConfig, type: string): CachePolicy {
  const configured = config.types[type];
  return {
    retention: configured?.retention ?? 'cached',
    maxAgeMs: configured?.maxAge ?? usual[type]?.maxAgeMs ?? config.maxAge,
    compression: configured?.compression ?? usual[type]?.compression ?? config.compression,
  };
}
