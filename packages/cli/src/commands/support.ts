import { Argument, type Command } from 'commander';

/** `diagnose`, `completion`, and `password`. */
export function addSupportCommands(program: Command): void {
  program
    .command('diagnose')
    .description('all that a support case needs, in one file, without secrets and patient data')
    .requiredOption('-c, --config <file>', 'configuration file')
    .option('-o, --output <file>', 'where to; default the terminal')
    .action(async (options: { config: string; output?: string }) => {
      const { diagnose } = await import('../operate/diagnose.ts');
      await diagnose(options);
    });
  program
    .command('completion')
    .description('print a script for your shell: source <(dispatch completion bash)')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: 'bash' | 'zsh' | 'fish') => {
      const { completionScript } = await import('../operate/complete.ts');
      console.log(completionScript(program, shell));
    });
  program
    .command('password')
    .description('hash a password for console.users; reads it from the standard input')
    .action(async () => {
      const [{ hashPassword }, { readPassword }] = await Promise.all([
        import('@dicom-dispatch/console/password'),
        import('../operate/read-password.ts'),
      ]);
      console.log(await hashPassword(await readPassword()));
    });
}
