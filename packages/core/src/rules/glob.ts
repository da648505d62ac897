const maxCached = 1000;
const any = Symbol('any');

type Character = string | typeof any;

/** Whether a complete text matches a glob. */
export type GlobMatcher = (text: string) => boolean;

const caches = { fold: new Map<string, GlobMatcher>(), exact: new Map<string, GlobMatcher>() };

/**
 * Compiles a glob: `*` matches any characters, `?` exactly one. Case-insensitive, unless `exact`.
 * The time of a match is linear in the length of the text for any number of `*`: there is no backtracking.
 */
export function compileGlob(glob: string, letters: 'fold' | 'exact' = 'fold'): GlobMatcher {
  const cache = caches[letters];
  const known = cache.get(glob);
  if (known) return known;
  const characters = letters === 'fold' ? folded : (text: string): string[] => [...text];
  const pieces = glob.split(/\*+/).map((piece) => characters(piece).map((one): Character => (one === '?' ? any : one)));
  const made: GlobMatcher = (text) => matches(pieces, characters(text));
  if (cache.size >= maxCached) cache.clear();
  cache.set(glob, made);
  return made;
}

/** Characters without regard to case, each still one: some letters are two in the other case. */
function folded(text: string): string[] {
  return Array.from(text, (character) => {
    const lower = character.toUpperCase().toLowerCase();
    return lower.length === character.length ? lower : character;
  });
}

/** The first piece is at the start, the last at the end, each other one at its first position after the previous one. */
function matches(pieces: readonly (readonly Character[])[], text: readonly string[]): boolean {
  const [first = [], ...others] = pieces;
  const last = others.pop();
  if (!last) return first.length === text.length && isAt(first, text, 0);
  if (first.length + last.length > text.length) return false;
  const end = text.length - last.length;
  if (!isAt(first, text, 0) || !isAt(last, text, end)) return false;
  let from = first.length;
  for (const piece of others) {
    while (from + piece.length <= end && !isAt(piece, text, from)) from += 1;
    if (from + piece.length > end) return false;
    from += piece.length;
  }
  return true;
}

function isAt(piece: readonly Character[], text: readonly string[], from: number): boolean {
  for (const [index, wanted] of piece.entries()) if (wanted !== any && text[from + index] !== wanted) return false;
  return true;
}
