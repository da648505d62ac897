import type { Loss } from '@dicom-dispatch/state/generation';

/**
 * - `starting`: Redis has not responded yet
 * - `good`: it has its data
 * - `lost`: it has lost data, and nothing may be confirmed until a router has recovered as much as possible
 * - `away`: it does not respond
 * - `refuses`: it responds, but rejects writes, e.g. because it is out of memory
 */
export type RedisStanding =
  | { readonly kind: 'starting' | 'good' }
  | { readonly kind: 'lost'; readonly loss: Loss; readonly asks: boolean }
  | { readonly kind: 'away'; readonly since: number }
  | { readonly kind: 'refuses'; readonly since: number; readonly reason: string };

/** Description of a state, for users. */
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

/** Description of the loss, for users. */
export const lossWords = {
  gone: 'Redis lost its data: no instance is sent until a router has recovered the data',
  older: 'Redis has data from an earlier time: no instance is sent until a router has recovered the data',
  another: 'Redis has data from another time or system: no instance is sent until a router has recovered the data',
} as const satisfies Record<Loss['kind'], string>;

export function skewWords(skewMs: number): string {
  return `${Math.abs(Math.round(skewMs / 1000))} s ${skewMs > 0 ? 'ahead of' : 'behind'} the clock of Redis`;
}
