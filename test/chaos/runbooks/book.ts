import { readFile } from 'node:fs/promises';
import { runCli, type CliRun } from '../../e2e/support/run-cli.ts';

const file = new URL('../../../docs/runbooks.md', import.meta.url);

export interface TypeOptions {
  /** Exit codes that it may have. Default 0. */
  readonly codes?: readonly number[];
  /** Placeholders of the runbook and their values here: `ID`, `/backup/full.gz`. */
  readonly instead?: Readonly<Record<string, string>>;
  /** Text that the output must contain. */
  readonly prints?: RegExp;
  /** The configuration, if it is not the one of the scene. */
  readonly config?: string;
}

/** One runbook of docs/runbooks.md: only commands that it contains are run, and by the end all of them. */
export class Runbook {
  readonly title: string;
  readonly #commands: ReadonlySet<string>;
  readonly #typed = new Set<string>();
  readonly #place: { readonly folder: string; readonly config: string };

  private constructor(title: string, commands: ReadonlySet<string>, place: { folder: string; config: string }) {
    this.title = title;
    this.#commands = commands;
    this.#place = place;
  }

  /** @param place - the working directory, and its configuration */
  static async open(title: string, place: { folder: string; config: string }): Promise<Runbook> {
    const sections = (await readFile(file, 'utf8')).split(/^## /m);
    const text = sections.find((section) => section.startsWith(`${title}\n`));
    if (text === undefined) throw new Error(`docs/runbooks.md has no "${title}"`);
    const inLine = [...text.matchAll(/`(dispatch [^`]+)`/g)];
    const indented = [...text.matchAll(/^ {4,}(dispatch .+)$/gm)];
    return new Runbook(title, new Set([...inLine, ...indented].map(([, command = '']) => plain(command))), place);
  }

  /**
   * Runs a command as written in the runbook and answers prompts with yes. @throws if its exit code or output differs from
   * what is expected
   */
  async type(command: string, options: TypeOptions = {}): Promise<CliRun> {
    const { codes = [0], instead = {}, prints, config = this.#place.config } = options;
    this.see(command);
    let line = command;
    for (const [word, other] of Object.entries(instead)) line = line.replaceAll(word, other);
    const [, ...words] = line.split(' ');
    if (!words.includes('-c') && !line.startsWith('dispatch config check')) words.push('-c', config);
    if (/^dispatch (retry|forget|batch start|audit .* --send|target drop|cache clear)/.test(line)) {
      if (!words.includes('--dry-run')) words.push('--yes');
    }
    const run = await runCli(this.#place.folder, ...words);
    console.log(`  $ ${line}\n${indent(run.out || run.err)}`);
    if (!codes.includes(run.code) || (prints && !prints.test(run.out + run.err))) {
      throw new Error(`${line}: exit code ${run.code}\n${run.out}\n${run.err}`);
    }
    return run;
  }

  /** A command that is executed differently here. */
  see(command: string): void {
    if (!this.#commands.has(command)) throw new Error(`"${command}" does not stand in the runbook "${this.title}"`);
    this.#typed.add(command);
  }

  /** Commands of the runbook that were not tried. */
  untried(): string[] {
    return [...this.#commands].filter((command) => !this.#typed.has(command));
  }
}

function plain(command: string): string {
  return command.replaceAll(/\s+/g, ' ').trim();
}

function indent(text: string): string {
  const lines = text.trimEnd().split('\n');
  const more = lines.length > 6 ? [`… ${lines.length - 6} more lines`] : [];
  return [...lines.slice(0, 6), ...more].map((line) => `      ${line.slice(0, 160)}`).join('\n');
}
