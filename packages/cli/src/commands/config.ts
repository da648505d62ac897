import type { Command } from 'commander';

/** `config check` and `config schema`. */
export function addConfigCommands(program: Command): void {
  const config = program.command('config').description('check a configuration, or print its JSON Schema');
  config
    .command('check')
    .description('say everything that is wrong with a configuration file; exits with 2 when something is')
    .argument('<file>', 'configuration file')
    .action(async (file: string) => {
      const { readConfig } = await import('../read-config.ts');
      const { sources, targets, rules } = await readConfig(file);
      const count = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`;
      console.log(
        `${file}: good (${count(Object.keys(sources).length, 'source')}, ${count(Object.keys(targets).length, 'target')}, ${count(rules.length, 'rule')})`,
      );
    });
  config
    .command('schema')
    .description('print the JSON Schema of the configuration file, for editors')
    .action(async () => {
      const [{ configJsonSchema }, { knownTargetSchemas }] = await Promise.all([
        import('@dicom-dispatch/core'),
        import('../read-config.ts'),
      ]);
      console.log(JSON.stringify(configJsonSchema(knownTargetSchemas), null, 2));
    });
}
