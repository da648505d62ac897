/** A problem and its place in the file; line and column count from 1, 0 where there is none. */
export interface LocatedProblem {
  readonly line: number;
  readonly col: number;
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** Where it is, if not in the file of the error. */
  readonly file?: string | undefined;
}

/** A configuration that cannot be used, with everything that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly file: string;
  readonly problems: readonly LocatedProblem[];

  constructor(file: string, problems: readonly LocatedProblem[], options?: ErrorOptions) {
    super(`${file}: ${problems.length} problem${problems.length === 1 ? '' : 's'}`, options);
    this.file = file;
    this.problems = problems;
  }

  /** One line a problem: file, line, column, path, what is wrong and what to do. */
  format(): string {
    return this.problems.map((problem) => describeProblem(this.file, problem)).join('\n');
  }
}

/** What is wrong with a configuration as a whole, or with a path of it whose place is not known. */
export function oneProblem(file: string, message: string, path: LocatedProblem['path'] = []): ConfigError {
  return new ConfigError(file, [{ line: 0, col: 0, path, message }]);
}

/** A problem in one line: file, line, column, path, what it is and what to do. */
export function describeProblem(of: string, { line, col, path, message, file = of }: LocatedProblem): string {
  const place = line > 0 ? `:${line}:${col}` : '';
  const where = path.map((key, index) => (typeof key === 'number' ? `[${key}]` : index > 0 ? `.${key}` : key)).join('');
  return `${file}${place}: ${where ? `${where}: ` : ''}${message}`;
}
