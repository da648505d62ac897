import { InvalidArgumentError, type Command } from 'commander';
import type { BatchOptions, StartBatchOptions } from '../operate/batch.ts';
import { withConfig, withExamples, withJson, withWatch } from './options.ts';

/** `batch`: routing of many old studies. */
export function addBatchCommands(program: Command): void {
  const batch = program
    .command('batch')
    .description('route many existing studies of a source one by one, e.g. for a migration');
  const start = batch
    .command('start')
    .description('route all studies that match the filter: by the rules, by one rule, or to the given targets')
    .requiredOption('--source <name>', 'of this source')
    .option('--from <date>', 'with a study date on or after: 2026-03-01', parseDate)
    .option('--until <date>', 'with a study date on or before', parseDate)
    .option('--modality <modality>', 'with series of this modality')
    .option('--description <text>', 'with this text in the study description; * and ? are wildcards')
    .option('--to <target...>', 'to these targets, regardless of the rules')
    .option('--rule <name>', 'by this rule only')
    .option('--rate <count>', 'studies per minute', parseCount)
    .option('-n, --dry-run', 'show how many studies match, and route none')
    .option('-y, --yes', 'do not ask for confirmation');
  withExamples(
    withJson(withConfig(start)).action(async (options: StartBatchOptions) => {
      const { startBatchNow } = await import('../operate/batch.ts');
      await startBatchNow(options);
    }),
    [
      ['batch start --source main --until 2025-12-31 --to archive --dry-run', 'show how many studies match'],
      ['batch start --source main --until 2025-12-31 --to archive --rate 60', '60 per minute, after confirmation'],
      ['batch start --source main --modality CT --rule research', 'studies that match the rule research'],
    ],
  );
  const list = batch.command('list').description('batches and their progress, newest first');
  withExamples(
    withWatch(withJson(withConfig(list))).action(async (options: BatchOptions) => {
      const { listBatchesNow } = await import('../operate/batch.ts');
      await listBatchesNow(options);
    }),
    [['batch list --watch', 'show the progress every two seconds']],
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
  act('pause', 'pause a batch: no further study is routed');
  act('resume', 'resume a batch');
  act('cancel', 'end a batch; studies that are already routed are not affected');
  const rate = batch
    .command('rate')
    .description('set how many studies of a batch are routed per minute')
    .argument('<batch>', 'its id')
    .argument('<count>', 'a whole number, or "none"', (text: string) => (text === 'none' ? text : parseCount(text)));
  withExamples(
    withJson(withConfig(rate)).action(async (id: string, count: number | 'none', options: BatchOptions) => {
      const { setBatchRateNow } = await import('../operate/batch.ts');
      await setBatchRateNow(id, count === 'none' ? undefined : count, options);
    }),
    [['batch rate b-0123456789ab 10', '10 per minute during working hours']],
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
