import type { Command } from 'commander';
import { withConfig, withExamples } from './options.ts';

const services = [
  ['router', 'follow the sources, apply the rules, enqueue study tasks'],
  ['dispatcher', 'run deliveries; start as many as you like'],
  ['console', 'pages for operators, Bull Board, HTTP API'],
] as const;

/** `up`, and one command a service. */
export function addServiceCommands(program: Command): void {
  const up = program
    .command('up')
    .description('run router, dispatcher and console in one process; with a Redis of its own where no redis.url is set')
    .action(async ({ config }: { config: string }) => {
      const { runServices } = await import('../run-services.ts');
      await runServices(config, ['console', 'router', 'dispatcher']);
    });
  withExamples(withConfig(up), [['up', 'with ./dispatch.yaml, until Ctrl-C or SIGTERM']]);
  for (const [name, description] of services) {
    const command = program
      .command(name)
      .description(`${description} (needs redis.url)`)
      .action(async ({ config }: { config: string }) => {
        const { runServices } = await import('../run-services.ts');
        await runServices(config, [name]);
      });
    withExamples(withConfig(command), [[`${name} --config /etc/dicom-dispatch.yaml`, 'until Ctrl-C or SIGTERM']]);
  }
}
