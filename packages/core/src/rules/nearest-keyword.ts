import { keywords } from './keywords.ts';

/** The keyword most similar to a word, case-insensitive; undefined if none is similar. */
export function nearestKeyword(word: string, among: Iterable<string> = keywords): string | undefined {
  const wanted = word.toLowerCase();
  let best: string | undefined;
  // What needs more changes than a third of its letters is another word.
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const keyword of among) {
    if (Math.abs(keyword.length - word.length) >= least) continue;
    const distance = changesBetween(wanted, keyword.toLowerCase());
    if (distance < least) [best, least] = [keyword, distance];
  }
  return best;
}

/** Number of insertions, deletions, substitutions and transpositions of letters (optimal string alignment). */
function changesBetween(one: string, other: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const isSame = one[row - 1] === other[column - 1];
      let least = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const isSwapped =
        row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      if (isSwapped) least = Math.min(least, (beforeLast[column - 2] ?? 0) + 1);
      current.push(least);
    }
    [beforeLast, last] = [last, current];
  }
  return last[other.length] ?? 0;
}
