import type { Command } from 'commander';
import { withConfig, withExamples } from './options.ts';

/** `config check`, `config schema`, `config example` and `config password`. */
export function addConfigCommands(program: Command): void {
  const config = program.command('config').description('check a configuration, print its JSON Schema, hash a password');
  const check = config
    .command('check')
    .description(
      'say everything that is wrong with a configuration file; exits with 2 when something is. Where Redis answers, targets that have moved are named, too',
    )
    .argument('[file]', 'configuration file; default that of --config')
    .action(async (named: string | undefined, options: { readonly config: string }) => {
      const file = named ?? options.config;
      const { readConfig } = await import('../read-config.ts');
      const config = await readConfig(file);
      const { sources, targets, rules } = config;
      const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`;
      console.log(
        `${file}: good (${count(Object.keys(sources).length, 'source')}, ${count(Object.keys(targets).length, 'target')}, ${count(rules.length, 'rule')})`,
      );
      const { deidentifyingRules, describeReport } = await import('@dicom-dispatch/sources');
      for (const { rule, transform, targets: to, report } of deidentifyingRules(config)) {
        console.log(`rule ${rule} to ${to.join(', ')} by transform ${transform}: ${describeReport(report)}`);
      }
      const { findMovedTargets } = await import('../operate/find-moved-targets.ts');
      for (const text of await findMovedTargets(config)) console.log(`! ${text}`);
    });
  withExamples(withConfig(check), [['config check dispatch.yaml', 'each problem with its line, and what to do']]);
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
  withExamples(schema, [['config schema > dispatch.schema.json', 'then name it in the first line of your file']]);
  const example = config
    .command('example')
    .description('print the example configuration: every option once, with what it is for and its default')
    .action(async () => {
      const [{ exampleConfig, exampleValues, targetExamples }, { knownTargetSchemas }, { targetAbouts }] =
        await Promise.all([
          import('@dicom-dispatch/core'),
          import('../read-config.ts'),
          import('@dicom-dispatch/targets/abouts'),
        ]);
      process.stdout.write(exampleConfig(knownTargetSchemas, { ...exampleValues, ...targetExamples(targetAbouts) }));
    });
  withExamples(example, [['config example > dispatch.yaml', 'then keep what you need']]);
  const password = config
    .command('password')
    .description('hash a password for console.users; asks for it, or reads a line of the standard input')
    .action(async () => {
      const [{ hashPassword }, { readPassword }] = await Promise.all([
        import('@dicom-dispatch/console/password'),
        import('../operate/read-password.ts'),
      ]);
      console.log(await hashPassword(await readPassword()));
    });
  withExamples(password, [['config password > anna.hash', 'and in the configuration: password: { file: anna.hash }']]);
}
