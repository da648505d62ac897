/** A problem and its place in the file; line and column count from 1, 0 where there is none. */
export interface LocatedProblem {
  readonly line: number;
  readonly col: number;
  readonly path: readonly (string | number)[];
  readonly message: string;
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
    return this.problems
      .map(({ line, col, path, message }) => {
        const place = line > 0 ? `:${line}:${col}` : '';
        const where = path
          .map((key, index) => (typeof key === 'number' ? `[${key}]` : index > 0 ? `.${key}` : key))
          .join('');
        return `${this.file}${place}: ${where ? `${where}: ` : ''}${message}`;
      })
      .join('\n');
  }
}
