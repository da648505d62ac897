/** A problem and its place in the file; line and column count from 1, 0 if there is none. */
export interface LocatedProblem {
  readonly line: number;
  readonly col: number;
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** Its place, if not in the file of the error. */
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

  /** One line per problem: file, line, column, path, problem and remedy. */
  format(): string {
    return this.problems.map((problem) => describeProblem(this.file, problem)).join('\n');
  }
}

/** A problem of a complete configuration, or of a path whose place is unknown. */
export function oneProblem(file: string, message: string, path: LocatedProblem['path'] = []): ConfigError {
  return new ConfigError(file, [{ line: 0, col: 0, path, message }]);
}

/** A problem in one line: file, line, column, path, text and remedy. */
export function describeProblem(of: string, { line, col, path, message, file = of }: LocatedProblem): string {
  const place = line > 0 ? `:${line}:${col}` : '';
  const where = path.map((key, index) => (typeof key === 'number' ? `[${key}]` : index > 0 ? `.${key}` : key)).join('');
  return `${file}${place}: ${where ? `${where}: ` : ''}${message}`;
}
