import type { Loss } from '@dicom-dispatch/state/generation';

/**
 * - `starting`: Redis has not answered yet
 * - `good`: it has what it had
 * - `lost`: it has lost data, and nothing may be confirmed until a router has recovered what it can
 * - `away`: it does not answer
 * - `refuses`: it answers, and takes no writes, e.g. for want of memory
 */
export type RedisStanding =
  | { readonly kind: 'starting' | 'good' }
  | { readonly kind: 'lost'; readonly loss: Loss; readonly asks: boolean }
  | { readonly kind: 'away'; readonly since: number }
  | { readonly kind: 'refuses'; readonly since: number; readonly reason: string };

/** What a standing means, in words for people. */
export function wordsOf(standing: RedisStanding): string {
  switch (standing.kind) {
    case 'starting':
      return 'has not answered yet';
    case 'good':
      return 'complete';
    case 'away':
      return 'does not answer';
    case 'refuses':
      return `rejects writes (${standing.reason})`;
    case 'lost':
      return standing.asks
        ? 'Redis lost its data, and no router has a record of it: decide with "dispatch recover"'
        : lossWords[standing.loss.kind];
  }
}

/** What was lost, in words for people. */
export const lossWords = {
  gone: 'Redis lost its data: no instance is sent until a router has recovered the data',
  older: 'Redis has data from an earlier time: no instance is sent until a router has recovered the data',
  another: 'Redis has data from another time or system: no instance is sent until a router has recovered the data',
} as const satisfies Record<Loss['kind'], string>;

export function skewWords(skewMs: number): string {
  return `${Math.abs(Math.round(skewMs / 1000))} s ${skewMs > 0 ? 'ahead of' : 'behind'} the clock of Redis`;
}
