import { createHash } from 'node:crypto';

/** Random numbers that repeat for the same seed. Not for secrets. */
export interface Random {
  /** A number from 0 (included) to 1 (not included). */
  next(): number;
  /** An integer from 0 (included) to `bound` (excluded). */
  below(bound: number): number;
  pick<T>(choices: readonly T[]): T;
}

/** A generator (mulberry32) whose sequence is determined by the given words. */
export function createRandom(...words: readonly (string | number)[]): Random {
  let state = createHash('sha256').update(words.join('\u0000')).digest().readUInt32LE(0);
  function next(): number {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }
  const below = (bound: number): number => Math.floor(next() * bound);
  return {
    next,
    below,
    pick: (choices) => {
      if (choices.length === 0) throw new RangeError('pick: the list of choices is empty; give at least one');
      return choices[below(choices.length)]!;
    },
  };
}

const tableLength = 65_536;
let gaussianTable: Float32Array | undefined;

/**
 * Gaussian noise, mean 0 and deviation 1, fast enough for every pixel: reads a table from a position determined by the seed,
 * in odd steps that visit all of it.
 */
export function createNoise(random: Random): () => number {
  gaussianTable ??= makeGaussianTable();
  const table = gaussianTable;
  let place = random.below(tableLength);
  const step = random.below(tableLength) | 1;
  return () => {
    place = (place + step) & (tableLength - 1);
    return table[place]!;
  };
}

function makeGaussianTable(): Float32Array {
  const random = createRandom('gaussian table');
  const table = new Float32Array(tableLength);
  for (let index = 0; index < tableLength; index += 1) {
    const radius = Math.sqrt(-2 * Math.log(1 - random.next()));
    table[index] = radius * Math.cos(2 * Math.PI * random.next());
  }
  return table;
}
