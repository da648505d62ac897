import type { S3Target } from './schema.ts';

/** The remedy if a server rejects a request: the options in use that it may not support, and how to avoid each. */
export function withoutOptions(config: S3Target): string {
  const inUse = [
    ...(Object.keys(config.tags).length > 0 ? ['remove tags'] : []),
    ...(Object.keys(config.metadata).length > 0 ? ['remove metadata'] : []),
    ...(config.encryption === 'none' ? [] : [`remove encryption (${config.encryption})`]),
    ...(config.storageClass === undefined ? [] : [`remove storageClass (${config.storageClass})`]),
    ...(config.checksum === 'none' ? [] : [`set checksum to none (it is ${config.checksum})`]),
    ...(usesConditions(config) ? ['set conditionalWrites to false'] : []),
  ];
  if (inUse.length === 0) return 'Check the log of the server: no option is in use that it may not support.';
  return `The server may not support an option that is in use. Try one change after the other: ${inUse.join('; ')}.`;
}

/** Amazon supports conditional writes; many other servers reject or ignore them. */
export function usesConditions({ conditionalWrites, endpoint }: S3Target): boolean {
  return conditionalWrites ?? endpoint === undefined;
}
