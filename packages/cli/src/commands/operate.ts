import type { Command } from 'commander';
import { parseSince } from './look.ts';

interface TargetOptions {
  readonly config: string;
  readonly json?: boolean;
}

const needsConfig = ['-c, --config <file>', 'configuration file'] as const;

/** Commands that change something: what the buttons of the console do. */
export function addOperateCommands(program: Command): void {
  addBulk(program, 'retry', 'let deliveries go again, with all their attempts');
  addBulk(program, 'cancel', 'stop deliveries');
  addBulk(program, 'hold', 'keep waiting deliveries from starting');
  addBulk(program, 'release', 'let held deliveries go');

  const target = program.command('target').description('test, pause, resume or limit a target');
  const act = (name: string, description: string): Command =>
    target
      .command(name)
      .description(description)
      .argument('<target>')
      .requiredOption(...needsConfig)
      .option('--json', 'for programs');
  act('test', 'try the connection step by step; exits with 1 when it fails').action(
    async (name: string, options: TargetOptions) => {
      const { testTargetNow } = await import('../operate/test-target.ts');
      await testTargetNow(name, options);
    },
  );
  act('pause', 'let no further delivery start').action(async (name: string, options: TargetOptions) => {
    const { pauseNow } = await import('../operate/targets.ts');
    await pauseNow(name, options, true);
  });
  act('resume', 'let deliveries start again').action(async (name: string, options: TargetOptions) => {
    const { pauseNow } = await import('../operate/targets.ts');
    await pauseNow(name, options, false);
  });
  act('concurrency', 'how many deliveries run at the same time, over all dispatchers')
    .argument('<count>', 'a whole number', Number)
    .action(async (name: string, count: number, options: TargetOptions) => {
      const { limitNow } = await import('../operate/targets.ts');
      await limitNow(name, options, { concurrency: count });
    });
  act('rate', 'how many deliveries start in a minute, over all dispatchers')
    .argument('<count>', 'a whole number, or "none"')
    .action(async (name: string, count: string, options: TargetOptions) => {
      const { limitNow } = await import('../operate/targets.ts');
      await limitNow(name, options, { rate: count === 'none' ? undefined : Number(count) });
    });

  program
    .command('route')
    .description('route a study now: by the rules, or to the targets that are named')
    .argument('<study>', 'Study Instance UID or accession number')
    .option('--to <target...>', 'to these targets, whatever the rules say')
    .option('--everything', 'also what a target has confirmed already')
    .requiredOption(...needsConfig)
    .option('--json', 'for programs')
    .action(async (study: string, options: TargetOptions & { to?: string[]; everything?: boolean }) => {
      const { routeNow } = await import('../operate/route.ts');
      await routeNow(study, options);
    });
}

function addBulk(program: Command, action: 'retry' | 'cancel' | 'hold' | 'release', description: string): void {
  program
    .command(action)
    .description(`${description}: those named, or all that the filter means`)
    .argument('[id...]', 'deliveries, or studies by UID or accession number')
    .option('--target <name>', 'of this target')
    .option('--state <state>', 'in this state')
    .option('--stage <stage>', 'whose last attempt failed in this stage')
    .option('--code <code>', 'with this error')
    .option('--rule <name>', 'that this rule routed')
    .option('--since <when>', 'changed since: an age (30m, 2h, 7d) or a date', parseSince)
    .option('--all', 'all of them: for a filter that names nothing')
    .option('-y, --yes', 'do not ask')
    .requiredOption(...needsConfig)
    .option('--json', 'for programs')
    .action(async (ids: string[], options) => {
      const { actNow } = await import('../operate/act.ts');
      await actNow(action, ids, options as Parameters<typeof actNow>[2]);
    });
}
