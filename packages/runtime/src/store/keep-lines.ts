import { diffArrays } from 'diff';

/** Lines of a file, and the same lines as the YAML library writes them. */
interface Chunk {
  readonly own: readonly string[];
  readonly formed: readonly string[];
}

/** What an edit does to a line of the former text: lines inserted before it, and whether it is kept. */
interface LineEdit {
  readonly added: string[];
  stays: boolean;
}

/**
 * Applies an edit to a text without changing the notation of the rest. The YAML library rewrites the complete file: the
 * differences between the rewritten file before and after the edit are applied to the text.
 *
 * @param own - the text of the file
 * @param before - the same, rewritten
 * @param after - rewritten after the edit
 */
export function keepLines(own: string, before: string, after: string): string {
  const chunks = align(own.split('\n'), before.split('\n'));
  const edits = editsOf(before.split('\n'), after.split('\n'));
  const lines: string[] = [];
  /** Indentation of lines as the library writes them, and as they are in the file. */
  const indents: { readonly formed: number; readonly own: number }[] = [];
  const moved = removedLines(chunks, edits);
  const put = (added: readonly string[]): void =>
    void lines.push(...added.map((line) => moved.get(line)?.shift() ?? indentAs(line, indents)));
  let at = 0;
  for (const { own: mine, formed } of chunks) {
    const meant = edits.slice(at, at + formed.length);
    at += formed.length;
    const isWhole = meant.every(({ added, stays }, index) => stays && (index === 0 || added.length === 0));
    if (isWhole) {
      if (meant[0]) put(meant[0].added);
      note(formed, mine);
      lines.push(...mine);
      continue;
    }
    for (const [index, { added, stays }] of meant.entries()) {
      put(added);
      note([formed[index] ?? ''], [mine[index] ?? '']);
      if (stays) put([formed[index] ?? '']);
    }
  }
  put(edits[at]?.added ?? []);
  return lines.join('\n');

  function note(formed: readonly string[], mine: readonly string[]): void {
    const [one, other] = [formed[0], mine[0]];
    if (one?.trim() && other?.trim()) indents.push({ formed: indentOf(one), own: indentOf(other) });
  }
}

/**
 * Lines that an edit removes, as in the file, by their form as the library writes them: one that is added again was
 * moved.
 */
function removedLines(chunks: readonly Chunk[], edits: readonly LineEdit[]): Map<string, string[]> {
  const removed = new Map<string, string[]>();
  let at = 0;
  for (const { own, formed } of chunks) {
    const [line = '', mine = ''] = [formed[0], own[0]];
    if (own.length === 1 && formed.length === 1 && edits[at]?.stays === false)
      removed.set(line, [...(removed.get(line) ?? []), mine]);
    at += formed.length;
  }
  return removed;
}

/** Lines that differ by spaces only are the same line in another notation. */
function align(own: readonly string[], formed: readonly string[]): Chunk[] {
  const bare = (line: string): string => line.replaceAll(/\s/g, '');
  const chunks: Chunk[] = [];
  let [ownAt, formedAt] = [0, 0];
  let gone: readonly string[] = [];
  const flush = (came: readonly string[]): void => {
    if (gone.length + came.length > 0) chunks.push({ own: gone, formed: came });
    gone = [];
  };
  for (const part of diffArrays([...own], [...formed], { comparator: (a, b) => bare(a) === bare(b) })) {
    const count = part.value.length;
    if (part.removed) {
      gone = own.slice(ownAt, ownAt + count);
      ownAt += count;
    } else if (part.added) {
      flush(formed.slice(formedAt, formedAt + count));
      formedAt += count;
    } else {
      flush([]);
      for (let index = 0; index < count; index += 1)
        chunks.push({
          own: own.slice(ownAt + index, ownAt + index + 1),
          formed: formed.slice(formedAt + index, formedAt + index + 1),
        });
      ownAt += count;
      formedAt += count;
    }
  }
  flush([]);
  return chunks;
}

/** One entry per line of `before`, and one for lines after the last. */
function editsOf(before: readonly string[], after: readonly string[]): LineEdit[] {
  const edits: LineEdit[] = Array.from({ length: before.length + 1 }, () => ({ added: [], stays: true }));
  let at = 0;
  for (const part of diffArrays([...before], [...after])) {
    if (part.added) edits[at]?.added.push(...part.value);
    else {
      for (let index = at; part.removed && index < at + part.value.length; index += 1) {
        const edit = edits[index];
        if (edit) edit.stays = false;
      }
      at += part.value.length;
    }
  }
  return edits;
}

/** A new line, indented as its nearest neighbour above that is not deeper. */
function indentAs(line: string, indents: readonly { readonly formed: number; readonly own: number }[]): string {
  if (line.trim() === '') return line;
  const depth = indentOf(line);
  const near = indents.findLast(({ formed }) => formed <= depth);
  if (!near) return line;
  return ' '.repeat(near.own + (depth - near.formed)) + line.slice(depth);
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
