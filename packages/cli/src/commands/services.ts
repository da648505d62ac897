import type { Command } from 'commander';

const services = [
  ['router', 'follow the sources, apply the rules, enqueue study tasks'],
  ['dispatcher', 'run deliveries; start as many as you like'],
  ['console', 'pages for operators, Bull Board, HTTP API'],
] as const;

/** `up`, and one command a service. */
export function addServiceCommands(program: Command): void {
  program
    .command('up')
    .description('run router, dispatcher and console in one process; with a Redis of its own where no redis.url is set')
    .requiredOption('-c, --config <file>', 'configuration file')
    .action(async ({ config }: { config: string }) => {
      const { runServices } = await import('../run-services.ts');
      await runServices(config, ['console', 'router', 'dispatcher']);
    });
  for (const [name, description] of services) {
    program
      .command(name)
      .description(`${description} (needs redis.url)`)
      .requiredOption('-c, --config <file>', 'configuration file')
      .action(async ({ config }: { config: string }) => {
        const { runServices } = await import('../run-services.ts');
        await runServices(config, [name]);
      });
  }
}
