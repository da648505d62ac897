import type { Command, Option } from 'commander';

export type Shell = 'bash' | 'zsh' | 'fish';

/** Possible completions after the words of one command. */
interface Place {
  /** Words of the command, e.g. `target test`; empty for the program itself. */
  readonly path: string;
  readonly subcommands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly Option[];
  /** Possible values of its first argument, if known. */
  readonly choices: readonly string[];
}

/** Options with a file name as value. */
const files = new Set(['--config', '--output', '--log', '--keep', '--to-folder']);

/**
 * A script for shell completion of commands and options, generated from the program itself.
 */
export function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, '');
  if (shell === 'fish') return fishScript(places);
  // zsh runs scripts for bash, word by word as it is.
  return shell === 'zsh'
    ? `#compdef dispatch\nautoload -U +X compinit bashcompinit && compinit && bashcompinit\n${bashScript(places)}`
    : bashScript(places);
}

function bashScript(places: readonly Place[]): string {
  const words = places.map(({ path, subcommands, options, choices }) => {
    const all = [...subcommands.map(({ name }) => name), ...choices, ...options.map(longName), '--help'];
    return `    '${path}') words='${all.join(' ')}' ;;`;
  });
  const nested = places
    .filter(({ path, subcommands }) => path !== '' && subcommands.length > 0)
    .map(({ path }) => path);
  return `_dispatch() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
      -*) ;;
      *)
        case "$path" in
          '') path="$word" ;;
          ${nested.join('|')}) path="$path $word" ;;
        esac ;;
    esac
  done
  case "$before" in
    ${fileNames(places).join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
${choicesOf(places)
  .map(([name, choices]) => `    ${name}) COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$current")); return ;;`)
  .join('\n')}
  esac
  case "$path" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _dispatch dispatch dicom-dispatch ./dispatch`;
}

function fishScript(places: readonly Place[]): string {
  const lines = ['complete -c dispatch -f'];
  for (const { path, subcommands, options, choices } of places) {
    const [first = '', second] = path.split(' ');
    const conditions = [
      first === '' ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${first}`,
      ...(second === undefined ? [] : [`__fish_seen_subcommand_from ${second}`]),
      // After a command with subcommands, these are only offered until one of them is entered.
      ...(first !== '' && subcommands.length > 0
        ? [`not __fish_seen_subcommand_from ${subcommands.map(({ name }) => name).join(' ')}`]
        : []),
    ];
    const start = `complete -c dispatch -n '${conditions.join('; and ')}'`;
    for (const { name, description } of subcommands) lines.push(`${start} -a '${name}' -d ${quoted(description)}`);
    for (const choice of choices) lines.push(`${start} -a '${choice}'`);
    for (const option of options) {
      const short = option.short === undefined ? '' : ` -s ${option.short.slice(1)}`;
      const value = valueOfFish(option);
      lines.push(`${start} -l ${longName(option).slice(2)}${short}${value} -d ${quoted(option.description)}`);
    }
  }
  return lines.join('\n');
}

function valueOfFish(option: Option): string {
  if (option.argChoices) return ` -x -a '${option.argChoices.join(' ')}'`;
  if (files.has(longName(option))) return ' -r -F';
  return option.required ? ' -x' : '';
}

function placesOf(command: Command, path: string): Place[] {
  const subcommands = command.commands.map((each) => ({ name: each.name(), description: each.description() }));
  return [
    { path, subcommands, options: command.options, choices: command.registeredArguments[0]?.argChoices ?? [] },
    ...command.commands.flatMap((each) => placesOf(each, `${path} ${each.name()}`.trim())),
  ];
}

function fileNames(places: readonly Place[]): string[] {
  const known = places.flatMap(({ options }) => options.filter((option) => files.has(longName(option))));
  return [...new Set(known.flatMap(({ short, long }) => [short, long]).filter((name) => name !== undefined))];
}

function choicesOf(places: readonly Place[]): [string, readonly string[]][] {
  const found = new Map<string, readonly string[]>();
  for (const option of places.flatMap(({ options }) => options)) {
    if (option.argChoices) found.set(longName(option), option.argChoices);
  }
  return [...found];
}

function longName(option: Option): string {
  return option.long ?? option.short ?? '';
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
