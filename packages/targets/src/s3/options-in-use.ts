import type { S3Target } from './schema.ts';

/** What to try with a server that refuses a request: the options in use that it may lack, and how each is left out. */
export function withoutOptions(config: S3Target): string {
  const inUse = [
    ...(Object.keys(config.tags).length > 0 ? ['leave out tags'] : []),
    ...(Object.keys(config.metadata).length > 0 ? ['leave out metadata'] : []),
    ...(config.encryption === 'none' ? [] : [`leave out encryption (${config.encryption})`]),
    ...(config.storageClass === undefined ? [] : [`leave out storageClass (${config.storageClass})`]),
    ...(config.checksum === 'none' ? [] : [`set checksum to none (it is ${config.checksum})`]),
    ...(usesConditions(config) ? ['set conditionalWrites to false'] : []),
  ];
  if (inUse.length === 0) return 'Look at the log of the server: no option is in use that it may lack.';
  return `The server may lack an option that is in use. Try one after the other: ${inUse.join('; ')}.`;
}

/** Amazon knows conditional writes; of other servers many refuse or ignore them. */
export function usesConditions({ conditionalWrites, endpoint }: S3Target): boolean {
  return conditionalWrites ?? endpoint === undefined;
}
