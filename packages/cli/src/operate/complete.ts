import type { Command } from 'commander';

const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** A script that lets a shell complete our commands and options; made from the program itself. */
export function completionScript(program: Command, shell: Shell): string {
  const words = commandWords(program);
  if (shell === 'fish') {
    return [...words]
      .flatMap(([path, list]) =>
        list.map(
          (word) =>
            `complete -c dispatch -f -n "${path === '' ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${path}`}" -a "${word}"`,
        ),
      )
      .join('\n');
  }
  const cases = [...words].map(([path, list]) => `    "${path}") words="${list.join(' ')}" ;;`).join('\n');
  const script = `_dispatch() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) [ -z "$path" ] && path="$word" || { case "$path" in target|config|help) path="$path $word" ;; esac; } ;; esac
  done
  case "$path" in
${cases}
  esac
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
    -c|--config|--output) COMPREPLY=($(compgen -f -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
  esac
}
complete -F _dispatch dispatch dicom-dispatch ./dispatch`;
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${script}` : script;
}

/** Path of a command (`target test`) to the words that may follow: its subcommands and options. */
function commandWords(program: Command): Map<string, string[]> {
  const words = new Map<string, string[]>();
  walk(program, '');
  return words;

  function walk(command: Command, path: string): void {
    const options = command.options.map((option) => option.long ?? option.short ?? '').filter((word) => word !== '');
    words.set(path, [...command.commands.map((each) => each.name()), ...options, '--help']);
    for (const each of command.commands) walk(each, path === '' ? each.name() : `${path} ${each.name()}`);
  }
}
