import { InvalidArgumentError, type Command } from 'commander';
import type { BatchOptions, StartBatchOptions } from '../operate/batch.ts';
import { withConfig, withExamples, withJson, withWatch } from './options.ts';

/** `batch`: routing of many old studies. */
export function addBatchCommands(program: Command): void {
  const batch = program
    .command('batch')
    .description('route many studies of a source that are there already, one after the other, e.g. for a migration');
  const start = batch
    .command('start')
    .description('route all studies that the filter means: by the rules, by one rule, or to the targets that are named')
    .requiredOption('--source <name>', 'of this source')
    .option('--from <date>', 'with a study date at or after: 2026-03-01', parseDate)
    .option('--until <date>', 'with a study date at or before', parseDate)
    .option('--modality <modality>', 'with series of this modality')
    .option('--description <text>', 'with this in the study description; * and ? as wildcards')
    .option('--to <target...>', 'to these targets, whatever the rules say')
    .option('--rule <name>', 'by this rule alone')
    .option('--rate <count>', 'studies a minute', parseCount)
    .option('-n, --dry-run', 'say how many studies are meant, and do nothing')
    .option('-y, --yes', 'do not ask');
  withExamples(
    withJson(withConfig(start)).action(async (options: StartBatchOptions) => {
      const { startBatchNow } = await import('../operate/batch.ts');
      await startBatchNow(options);
    }),
    [
      ['batch start --source main --until 2025-12-31 --to archive --dry-run', 'how many studies that would be'],
      ['batch start --source main --until 2025-12-31 --to archive --rate 60', 'sixty a minute; asks first'],
      ['batch start --source main --modality CT --rule research', 'those that the rule research matches'],
    ],
  );
  const list = batch.command('list').description('batches and how far they are, the newest first');
  withExamples(
    withWatch(withJson(withConfig(list))).action(async (options: BatchOptions) => {
      const { listBatchesNow } = await import('../operate/batch.ts');
      await listBatchesNow(options);
    }),
    [['batch list --watch', 'the progress, again every two seconds']],
  );
  const act = (name: 'pause' | 'resume' | 'cancel', description: string): void => {
    const command = batch.command(name).description(description).argument('<batch>', 'its id');
    withExamples(
      withJson(withConfig(command)).action(async (id: string, options: BatchOptions) => {
        const { changeBatchNow } = await import('../operate/batch.ts');
        await changeBatchNow(id, name, options);
      }),
      [[`batch ${name} b-0123456789ab`, description]],
    );
  };
  act('pause', 'route no further study of a batch');
  act('resume', 'go on with a batch');
  act('cancel', 'end a batch; what was routed stays routed');
  const rate = batch
    .command('rate')
    .description('how many studies of a batch are routed in a minute')
    .argument('<batch>', 'its id')
    .argument('<count>', 'a whole number, or "none"', (text: string) => (text === 'none' ? text : parseCount(text)));
  withExamples(
    withJson(withConfig(rate)).action(async (id: string, count: number | 'none', options: BatchOptions) => {
      const { setBatchRateNow } = await import('../operate/batch.ts');
      await setBatchRateNow(id, count === 'none' ? undefined : count, options);
    }),
    [['batch rate b-0123456789ab 10', 'ten a minute, while people work']],
  );
}

function parseDate(text: string): string {
  const digits = text.replaceAll('-', '');
  if (/^\d{8}$/.test(digits)) return digits;
  throw new InvalidArgumentError('a date such as 2026-03-01');
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a whole number from 1 to 999999');
}
