import type { S3Target } from './schema.ts';

/** What to try with a server that refuses a request: the options in use that it may lack, and how each is left out. */
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

/** Amazon knows conditional writes; of other servers many refuse or ignore them. */
export function usesConditions({ conditionalWrites, endpoint }: S3Target): boolean {
  return conditionalWrites ?? endpoint === undefined;
}
