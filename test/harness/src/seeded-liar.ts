import { createHash } from 'node:crypto';
import { loginPage, type Lie, type LieKind } from './lie.ts';
import type { Liar } from './lying-proxy.ts';

export interface SeededLiarOptions {
  readonly seed: number;
  /** Share of the requests that get a false response, from 0 to 1. */
  readonly share: number;
  /** Default: all kinds that are possible for the file of an instance. */
  readonly kinds?: readonly LieKind[];
  /** Paths that get false responses. Default: files of instances, and results of `modify` and `anonymize`. */
  readonly paths?: RegExp;
  /** Other paths whose response may be sent instead, as by a cache that mixes up responses, e.g. files of other instances. */
  readonly others?: readonly string[];
}

export const instanceFiles = /^\/instances\/[^/]+\/(file|modify|anonymize)$/;

const all: readonly LieKind[] = [
  'short',
  'long',
  'endless',
  'empty',
  'chunked',
  'other',
  'flip',
  'text',
  'status',
  'reset',
  'silence',
];

/**
 * False responses derived from a seed. They depend on the request alone (its path, and how often it was sent before), not on
 * the order of the requests: the same seed gives the same responses.
 */
export function seededLiar(options: SeededLiarOptions): Liar {
  const { seed, share, kinds = all, paths = instanceFiles, others = [] } = options;
  return ({ method, path, times }) => {
    if (!paths.test(path)) return undefined;
    const draw = drawsOf(`${seed} ${method} ${path} ${times}`);
    if (draw() >= share) return undefined;
    return lieOf(pick(kinds, draw), draw, others);
  };
}

function lieOf(kind: LieKind, draw: () => number, others: readonly string[]): Lie | undefined {
  const bytes = Math.floor(draw() ** 2 * 4096);
  switch (kind) {
    case 'short':
      return { kind, bytes, framing: pick(['length', 'chunked', 'cut'] as const, draw) };
    case 'long':
      return { kind, bytes: bytes + 1, framing: pick(['length', 'chunked'] as const, draw) };
    case 'other': {
      const path = others.length > 0 ? pick(others, draw) : undefined;
      return path === undefined ? undefined : { kind, path };
    }
    case 'flip':
      return { kind, at: draw() < 0.5 ? bytes : -1 - bytes };
    case 'text':
      return { kind, body: pick([loginPage, '{"status":"ok"}', 'OK', '\0'.repeat(2048)], draw) };
    case 'status':
      return {
        kind,
        status: pick([400, 403, 404, 409, 416, 429, 500, 502, 503, 504], draw),
        body: pick(['', loginPage, 'not here', '{"Message":"no"}'], draw),
      };
    case 'reset':
    case 'range':
      return { kind, bytes };
    case 'redirect': {
      const path = others.length > 0 ? pick(others, draw) : undefined;
      return path === undefined ? undefined : { kind, path };
    }
    default:
      return { kind };
  }
}

function pick<T>(from: readonly T[], draw: () => number): T {
  return from[Math.min(from.length - 1, Math.floor(draw() * from.length))] as T;
}

/** Returns a pseudorandom number from 0 to 1 at each call, derived from a text. */
function drawsOf(text: string): () => number {
  let count = 0;
  return () => {
    count += 1;
    return createHash('sha256').update(`${text} ${count}`).digest().readUInt32BE(0) / 2 ** 32;
  };
}
