import { InvalidArgumentError, type Command } from 'commander';
import { withConfig, withExamples, withJson, withLimit } from './options.ts';

/** `config history`, `config diff` and `config restore`. */
export function addConfigVersionCommands(config: Command): void {
  const history = withLimit(
    withJson(withConfig(config.command('history').description('versions of the configuration: time, author, reason'))),
  ).action(async (options: { readonly config: string; readonly json?: boolean; readonly limit: number }) => {
    const { showHistory } = await import('../operate/config-versions.ts');
    await showHistory(options);
  });
  withExamples(history, [['config history', 'the newest first']]);
  const diff = withConfig(
    config
      .command('diff')
      .description('differences between two versions as a patch; default: between the newest version and the file')
      .argument('[from]', 'number of a version; default: the newest', parseNumber)
      .argument('[to]', 'number of a version; default: the file', parseNumber),
  ).action(async (from: number | undefined, to: number | undefined, options: { readonly config: string }) => {
    const { showDifference } = await import('../operate/config-versions.ts');
    await showDifference(from, to, options);
  });
  withExamples(diff, [
    ['config diff', 'show manual changes that are not in use yet'],
    ['config diff 3 5', 'show changes from version 3 to version 5'],
  ]);
  const restore = withConfig(
    config
      .command('restore')
      .description('restore an earlier version on all services, or on none')
      .argument('<version>', 'number of the version', parseNumber)
      .option('--reason <text>', 'reason, shown in the history'),
  ).action(async (number: number, options: { readonly config: string; readonly reason?: string }) => {
    const { restoreNow } = await import('../operate/config-versions.ts');
    await restoreNow(number, options);
  });
  withExamples(restore, [['config restore 3', 'creates a new version and writes the file']]);
}

function parseNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('the number of a version, as "dispatch config history" lists them');
}
