import { Argument, InvalidArgumentError, type Command } from 'commander';
import type { DiagnoseOptions } from '../diagnose/diagnose.ts';
import { withConfig, withExamples, withJson } from './options.ts';

/** `diagnose` and `completion`. */
export function addSupportCommands(program: Command): void {
  const diagnose = program
    .command('diagnose')
    .description('write the data for a support case to one tar.gz, without secrets and patient data')
    .option('-o, --output <file>', 'output file; default: dispatch-diagnose-<time>.tar.gz in this folder')
    .option('--log <file>', 'include the last lines of this log')
    .option('--lines <count>', 'number of log lines', parseLines, 2000)
    .action(async (options: DiagnoseOptions) => {
      const { diagnose } = await import('../diagnose/diagnose.ts');
      await diagnose(options);
    });
  withExamples(withJson(withConfig(diagnose)), [
    ['diagnose', 'also if a service does not respond: the gap is listed, and the rest is included'],
    ['diagnose --log /var/log/dicom-dispatch.log', 'with the last 2000 lines of the log'],
  ]);
  const completion = program
    .command('completion')
    .description('print a shell script that completes commands, options and names')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const { completionScript } = await import('../operate/complete.ts');
      console.log(completionScript(program, shell));
    });
  withExamples(completion, [
    ['completion bash > /etc/bash_completion.d/dispatch', 'bash, for all users'],
    ['completion zsh > "${fpath[1]}/_dispatch"', 'zsh'],
    ['completion fish > ~/.config/fish/completions/dispatch.fish', 'fish'],
  ]);
}

function parseLines(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a whole number from 1 to 999999');
}
