import { parseArgs } from 'node:util';

/** An option of a benchmark or campaign. A number or string without a default may be left out. */
type LongOption = (
  | { readonly type: 'boolean' }
  | { readonly type: 'number'; readonly default?: number }
  | { readonly type: 'string'; readonly default?: string }
  /** Some of the values `of`, separated by commas. Default: all of them. */
  | { readonly type: 'list'; readonly of: readonly string[]; readonly default?: readonly string[] }
  | { readonly type: 'choice'; readonly of: readonly string[]; readonly default: string }
) & { readonly about: string };

interface LongCommand<Options extends Record<string, LongOption>> {
  /** As it is started: `./dispatch bench delivery`. */
  readonly usage: string;
  readonly about: string;
  /** Arguments besides options, as the help shows them: `[FROM] [TO]`. Without it none are allowed. */
  readonly positionals?: string;
  readonly options: Options;
}

type ValueOf<Option extends LongOption> = Option extends { type: 'boolean' }
  ? boolean
  : Option extends { type: 'list'; of: readonly (infer Value)[] }
    ? readonly Value[]
    : Option extends { type: 'choice'; of: readonly (infer Value)[] }
      ? Value
      :
          | (Option extends { type: 'number' } ? number : string)
          | (Option extends { default: unknown } ? never : undefined);

/** Values of options by name; `undefined` for one without a default that is not given. */
export type LongValues<Options extends Record<string, LongOption>> = {
  readonly [Name in keyof Options]: ValueOf<Options[Name]>;
};

/**
 * The options of a benchmark or campaign from the command line. `--help` prints them and ends the process with 0; an unknown option
 * or a wrong value prints what is wrong and ends it with 2.
 */
export function readLongCommand<const Options extends Record<string, LongOption>>(
  command: LongCommand<Options>,
): { values: LongValues<Options>; positionals: string[] } {
  try {
    const parsed = parseLongCommand(command, process.argv.slice(2));
    if (parsed !== 'help') return parsed;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\nHelp: ${command.usage} --help\n`);
    process.exit(2);
  }
  process.stdout.write(longHelp(command));
  process.exit(0);
}

/** Like `readLongCommand`, for given arguments; throws an error that names the option, its value and what it needs. */
export function parseLongCommand<const Options extends Record<string, LongOption>>(
  { options, positionals }: LongCommand<Options>,
  args: readonly string[],
): { values: LongValues<Options>; positionals: string[] } | 'help' {
  const known = Object.entries(options);
  const parsed = parseArgs({
    args: [...args],
    allowPositionals: positionals !== undefined,
    options: {
      help: { type: 'boolean', short: 'h' },
      ...Object.fromEntries(
        known.map(([name, { type }]) => [
          name,
          { type: type === 'boolean' ? ('boolean' as const) : ('string' as const) },
        ]),
      ),
    },
  });
  const given = parsed.values as Record<string, string | boolean | undefined>;
  if (given['help'] === true) return 'help';
  const values = known.map(([name, option]) => [name, valueOf(name, option, given[name])]);
  return { values: Object.fromEntries(values) as LongValues<Options>, positionals: parsed.positionals };
}

function valueOf(name: string, option: LongOption, given: string | boolean | undefined): unknown {
  if (option.type === 'boolean') return given === true;
  if (typeof given !== 'string') return option.type === 'list' ? (option.default ?? option.of) : option.default;
  if (option.type === 'string') return given;
  if (option.type === 'list' || option.type === 'choice') {
    const values = option.type === 'list' ? given.split(',') : [given];
    const unknown = values.find((value) => !option.of.includes(value));
    if (unknown === undefined) return option.type === 'list' ? values : given;
    throw new Error(`--${name}: ${JSON.stringify(unknown)} is none of ${option.of.join(', ')}.`);
  }
  const number = given.trim() === '' ? Number.NaN : Number(given);
  if (Number.isFinite(number) && number >= 0) return number;
  throw new Error(`--${name} is ${JSON.stringify(given)}; give a number of 0 or more.`);
}

/** The text of `--help`. */
export function longHelp({ usage, about, positionals, options }: LongCommand<Record<string, LongOption>>): string {
  const rows = Object.entries(options).map(([name, option]): [string, string] => {
    if (option.type === 'boolean') return [`--${name}`, option.about];
    const initial = option.type === 'list' ? (option.default?.join() ?? 'all') : option.default;
    const details = [
      ...(option.type === 'list' ? [`some of ${option.of.join()}`] : []),
      ...(option.type === 'choice' ? [`one of ${option.of.join()}`] : []),
      ...(initial === undefined || initial === '' ? [] : [`default ${initial}`]),
    ];
    const value = { number: 'NUMBER', string: 'TEXT', list: 'LIST', choice: 'NAME' }[option.type];
    return [`--${name} ${value}`, details.length === 0 ? option.about : `${option.about} (${details.join('; ')})`];
  });
  rows.push(['-h, --help', 'show this help']);
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${wrapped(right, 96 - width, width + 4)}`);
  const line = [usage, '[options]', positionals].filter(Boolean).join(' ');
  return `Usage: ${line}\n\n${wrapped(about, 98, 0)}\n\nOptions:\n${lines.join('\n')}\n`;
}

function wrapped(text: string, width: number, indent: number): string {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}

/** Arguments that are whole numbers from 1, with defaults for missing ones; otherwise prints what is wrong and ends the process with 2. */
export function readNumbers<const Defaults extends readonly (number | undefined)[]>(
  positionals: readonly string[],
  ...defaults: Defaults
): { readonly [Place in keyof Defaults]: number | Extract<Defaults[Place], undefined> } {
  const wrong = positionals.find((given) => !/^[1-9]\d{0,8}$/.test(given)) ?? positionals.slice(defaults.length).at(0);
  if (wrong === undefined) {
    return defaults.map((initial, place) =>
      positionals[place] === undefined ? initial : Number(positionals[place]),
    ) as never;
  }
  process.stderr.write(`${wrong}: give at most ${defaults.length} whole numbers from 1. Help: --help\n`);
  process.exit(2);
}

/** The seeds of a campaign, FROM and TO: without TO one seed, without both 1 to 200. */
export function readSeeds(positionals: readonly string[]): { from: number; to: number } {
  const [from, to = positionals.length === 0 ? 200 : from] = readNumbers(positionals, 1, undefined);
  if (to >= from) return { from, to };
  process.stderr.write(`${from} ${to}: the first seed is after the last one.\n`);
  process.exit(2);
}
