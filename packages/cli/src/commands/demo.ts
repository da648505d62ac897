import type { Command } from 'commander';

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description(
      'start a complete system on this host (Orthanc, Redis, a PACS, all services) and send sample studies through it',
    )
    .option('--once', 'end when all studies have arrived; exit status 0 only if all arrived')
    .option('--keep <folder>', 'keep the files of the demo in this folder')
    .action(async (options: { once?: boolean; keep?: string }) => {
      const [{ runDemo }, { endByForce, lingerMs }] = await Promise.all([
        import('../demo/run-demo.ts'),
        import('../end-by-force.ts'),
      ]);
      process.exitCode = await runDemo(options);
      endByForce(lingerMs, 'an unfinished task keeps the process running');
    });
}
