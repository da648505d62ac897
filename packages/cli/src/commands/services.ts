import { InvalidArgumentError, type Command } from 'commander';
import { withConfig, withExamples } from './options.ts';

const services = [
  ['router', 'follow the sources, apply the rules, enqueue study tasks'],
  ['dispatcher', 'run deliveries; start as many as needed'],
  ['console', 'serve the console pages, Bull Board and the HTTP API'],
] as const;

/** `up`, and one command for each service. */
export function addServiceCommands(program: Command): void {
  const up = program
    .command('up')
    .description('run router, dispatcher and console in one process; with an embedded Redis if redis.url is not set')
    .option(
      '--listen <address>',
      'without a configuration file: address of the setup page (default 127.0.0.1:8080)',
      parseAddress,
    )
    .action(async ({ config, listen }: { config: string; listen?: string }) => {
      const { runServices } = await import('../run-services.ts');
      // A file named with --config must exist; without the option, a missing file means a first start.
      const isFirst = listen !== undefined || up.getOptionValueSource('config') === 'default';
      await runServices(config, ['console', 'router', 'dispatcher'], isFirst ? { first: { listen } } : {});
    });
  withExamples(withConfig(up), [
    ['up', 'with ./dispatch.yaml, until Ctrl-C or SIGTERM; without it, a setup page creates it'],
    ['up --config /srv/dispatch.yaml --listen 0.0.0.0:8080', 'the setup page, also for other hosts'],
  ]);
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

function parseAddress(text: string): string {
  if (/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/.test(text)) return text;
  throw new InvalidArgumentError('host and port, e.g. 127.0.0.1:8080');
}
