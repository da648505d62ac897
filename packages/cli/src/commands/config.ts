import type { Command } from 'commander';
import { exitCodes } from '../exit.ts';
import { addConfigImportCommands } from './config-import.ts';
import { addConfigVersionCommands } from './config-versions.ts';
import { withConfig, withExamples } from './options.ts';

/** `config check`, `config schema`, `config example`, `config password`, and those of its versions. */
export function addConfigCommands(program: Command): void {
  const config = program
    .command('config')
    .description('check a configuration, its versions, its JSON Schema; import and export it; hash a password');
  const check = config
    .command('check')
    .description(
      'show all errors in a configuration file, then warnings; exit status 2 if there are errors. If Redis responds, warnings about the running system are included',
    )
    .argument('[file]', 'configuration file; default: that of --config')
    .option('--strict', 'exit status 2 also for warnings')
    .action(async (named: string | undefined, options: { readonly config: string; readonly strict?: true }) => {
      const file = named ?? options.config;
      const { withStore } = await import('../read-config.ts');
      const { config, title, text } = await withStore(file, async (store) => ({
        config: await store.load(),
        title: store.current.title,
        ...(await store.current.read()),
      }));
      const { findWarnings } = await import('../operate/find-warnings.ts');
      const warnings = await findWarnings(title, { config, text, path: file });
      const { sources, targets, rules } = config;
      const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`;
      const content = `${count(Object.keys(sources).length, 'source')}, ${count(Object.keys(targets).length, 'target')}, ${count(rules.length, 'rule')}`;
      const found = warnings.length === 0 ? 'good' : `can be used, with ${count(warnings.length, 'warning')}`;
      console.log(`${file}: ${found} (${content})`);
      const { deidentifyingRules, describeReport } = await import('@dicom-dispatch/sources');
      for (const { rule, transform, targets: to, report } of deidentifyingRules(config)) {
        console.log(`rule ${rule} to ${to.join(', ')} by transform ${transform}: ${describeReport(report)}`);
      }
      for (const text of warnings) console.log(`! ${text}`);
      if (options.strict && warnings.length > 0) process.exitCode = exitCodes.usage;
    });
  withExamples(withConfig(check), [
    ['config check dispatch.yaml', 'each error and warning with its line and its remedy'],
    ['config check --strict dispatch.yaml', 'for a CI pipeline: warnings fail as well'],
  ]);
  const schema = config
    .command('schema')
    .description('print the JSON Schema of the configuration file, for editors')
    .action(async () => {
      const [{ configJsonSchema }, { knownTargetSchemas }, { targetAbouts }] = await Promise.all([
        import('@dicom-dispatch/core'),
        import('../read-config.ts'),
        import('@dicom-dispatch/targets/abouts'),
      ]);
      console.log(JSON.stringify(configJsonSchema(knownTargetSchemas, targetAbouts), null, 2));
    });
  withExamples(schema, [['config schema > dispatch.schema.json', 'then reference it in the first line of your file']]);
  const example = config
    .command('example')
    .description('print the example configuration: every option once, with its description and default')
    .action(async () => {
      const [{ exampleConfig, exampleValues, targetExamples }, { knownTargetSchemas }, { targetAbouts }] =
        await Promise.all([
          import('@dicom-dispatch/core'),
          import('../read-config.ts'),
          import('@dicom-dispatch/targets/abouts'),
        ]);
      process.stdout.write(exampleConfig(knownTargetSchemas, { ...exampleValues, ...targetExamples(targetAbouts) }));
    });
  withExamples(example, [['config example > dispatch.yaml', 'then keep the options that you need']]);
  const password = config
    .command('password')
    .description('hash a password for console.users; prompts for it, or reads one line from standard input')
    .action(async () => {
      const [{ hashPassword }, { readPassword }] = await Promise.all([
        import('@dicom-dispatch/console/password'),
        import('../operate/read-password.ts'),
      ]);
      console.log(await hashPassword(await readPassword()));
    });
  addConfigVersionCommands(config);
  addConfigImportCommands(config);
  withExamples(password, [
    ['config password > anna.hash', 'then set password: { file: anna.hash } in the configuration'],
  ]);
}
