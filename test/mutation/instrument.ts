import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { Instrumenter } from '@stryker-mutator/instrumenter';

export interface Mutant {
  readonly id: string;
  /** Relative to the repository. */
  readonly file: string;
  /** `file:line:column`, with the kind of change, the code and what replaces it. */
  readonly text: string;
}

export interface Instrumented {
  /** Code with all mutants, each behind a switch, by absolute path. */
  readonly code: Readonly<Record<string, string>>;
  /** In the order of the files and of their code. */
  readonly mutants: readonly Mutant[];
}

const no = () => false;
const silent = () => {};
const logger = {
  isTraceEnabled: no,
  isDebugEnabled: no,
  isInfoEnabled: no,
  isWarnEnabled: no,
  isErrorEnabled: no,
  isFatalEnabled: no,
  trace: silent,
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  fatal: silent,
};

/** Makes the mutants of these files. Paths are relative to the repository, the working directory. */
export async function instrument(paths: readonly string[]): Promise<Instrumented> {
  const sources = new Map(paths.map((path) => [resolve(path), readFileSync(path, 'utf8')]));
  const { files, mutants } = await new Instrumenter(logger).instrument(
    [...sources].map(([name, content]) => ({ name, mutate: true, content })),
    { plugins: null, excludedMutations: [], ignorers: [] },
  );
  return {
    code: Object.fromEntries(files.map(({ name, content }) => [name, content])),
    mutants: mutants.map(({ id, fileName, mutatorName, replacement, location: { start, end } }) => {
      const file = relative('.', fileName);
      const lines = (sources.get(resolve(fileName)) ?? '').split('\n').slice(start.line, end.line + 1);
      lines[lines.length - 1] = lines.at(-1)?.slice(0, end.column) ?? '';
      lines[0] = lines[0]?.slice(start.column) ?? '';
      const place = `${file}:${start.line + 1}:${start.column + 1}`;
      return { id, file, text: `${place} ${mutatorName}\n  - ${short(lines.join(' '))}\n  + ${short(replacement)}` };
    }),
  };
}

function short(code: string): string {
  const line = code.replace(/\s+/g, ' ');
  return line.length > 160 ? `${line.slice(0, 160)} …` : line;
}
