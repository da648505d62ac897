import type { Command } from 'commander';
import type { ImportOptions } from '../operate/config-import.ts';
import { withConfig, withExamples } from './options.ts';

/** `config export` and `config import`. */
export function addConfigImportCommands(config: Command): void {
  const exporting = withConfig(
    config
      .command('export')
      .description('print the configuration in use as YAML; with `configuration: redis` that of all hosts'),
  ).action(async (options: { readonly config: string }) => {
    const { exportNow } = await import('../operate/config-import.ts');
    await exportNow(options);
  });
  withExamples(exporting, [['config export > all-hosts.yaml', 'to read, to keep, to edit and import again']]);
  const importing = withConfig(
    config
      .command('import')
      .description(
        'with `configuration: redis`: make a file the configuration of all hosts; all services apply it, or none',
      )
      .argument('<file>', 'a configuration; its section redis is left out')
      .option('--reason <text>', 'reason, shown in the history')
      .option('--replace', 'also if the present one cannot be used: it is damaged, or signed with another key'),
  ).action(async (file: string, options: ImportOptions) => {
    const { importNow } = await import('../operate/config-import.ts');
    await importNow(file, options);
  });
  withExamples(importing, [
    ['config import all-hosts.yaml', 'it becomes a new version'],
    ['config import --replace all-hosts.yaml', 'where the key of the installation is lost'],
  ]);
}
