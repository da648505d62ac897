import { Option, type Command } from 'commander';
import type { ReceiptOptions } from '../operate/receipt.ts';
import type { ShowOptions } from '../operate/show.ts';
import {
  withConfig,
  withErrorSelection,
  withExamples,
  withJson,
  withLimit,
  withSelection,
  withWatch,
  type SelectionOptions,
} from './options.ts';

const receiptFormats = ['table', 'json', 'csv'];

type ListOptions = ShowOptions & SelectionOptions & { readonly limit: number };

/** Commands that show how things stand: over Redis, so that the console need not run. */
export function addLookCommands(program: Command): void {
  const status = look(program, 'status', 'the whole system at a glance')
    .option('--check', 'exit with 3 when something needs an operator')
    .action(async (options: ShowOptions & { check?: boolean }) => {
      const { showStatus } = await import('../operate/status.ts');
      await showStatus(options);
    });
  withExamples(status, [
    ['status', 'sources, targets, and what needs an operator'],
    ['status --watch', 'again every two seconds'],
    ['status --check --json', 'for monitoring: exits with 3 when "trouble" is not empty'],
  ]);

  const studies = withLimit(
    withSelection(look(program, 'studies', 'studies with the delivery to each target, the newest first')),
  )
    .argument('[search]', 'accession number, patient, description, UID, or id of a delivery')
    .action(async (search: string | undefined, options: ListOptions) => {
      const { showStudies } = await import('../operate/lists.ts');
      await showStudies(search, options);
    });
  withExamples(studies, [
    ['studies', 'the latest fifty'],
    ['studies A20260301', 'those with this accession number, patient id, name or description'],
    ['studies --state failed --target pacs --since 2h', 'what failed at pacs in the last two hours'],
    ['studies --state waiting --watch', 'what is still on its way'],
  ]);

  const study = look(program, 'study', 'one study: where it is, and why it has not arrived')
    .argument('<id>', 'Study Instance UID, accession number, patient id, or id of a delivery')
    .action(async (id: string, options: ShowOptions) => {
      const { showOneStudy } = await import('../operate/lists.ts');
      await showOneStudy(id, options);
    });
  withExamples(study, [
    ['study A20260301', 'each delivery, what happened to it, and what it waits for'],
    ['study d-0123456789abcdef0123', 'the study of a delivery'],
    ['study 1.2.276.0.7230010.3.1.2.1 --watch', 'see it arrive'],
  ]);

  const receipt = withConfig(
    program
      .command('receipt')
      .description('what targets have confirmed of a study, instance by instance, to be shown when somebody asks')
      .argument('<study>', 'Study Instance UID, Orthanc id, accession number, patient id, or id of a delivery'),
  )
    .option('--target <target>', 'only this target')
    .addOption(new Option('--format <format>', 'how it is written').choices(receiptFormats).default('table'))
    .action(async (id: string, options: ReceiptOptions) => {
      const { showReceiptOf } = await import('../operate/receipt.ts');
      await showReceiptOf(id, options);
    });
  withExamples(receipt, [
    ['receipt A20260301', 'size, digest, time and answer of each instance at each target'],
    ['receipt A20260301 --target pacs --format csv > receipt.csv', 'for a spreadsheet'],
  ]);

  const deliveries = withLimit(
    withErrorSelection(withSelection(look(program, 'deliveries', 'deliveries, the latest change first'))),
  ).action(async (options: ListOptions) => {
    const { showDeliveries } = await import('../operate/lists.ts');
    await showDeliveries(options);
  });
  withExamples(deliveries, [
    ['deliveries --state failed', 'what failed, with stage and error'],
    ['deliveries --target pacs --code status-refused', 'what pacs refused'],
  ]);

  const targets = look(program, 'targets', 'all targets, with their backlog').action(async (options: ShowOptions) => {
    const { showTargets } = await import('../operate/lists.ts');
    await showTargets(options);
  });
  withExamples(targets, [['targets', 'state, counts and the oldest that waits, of each target']]);

  const sources = look(program, 'sources', 'all sources, and how far each is followed').action(
    async (options: ShowOptions) => {
      const { showSources } = await import('../operate/lists.ts');
      await showSources(options);
    },
  );
  withExamples(sources, [['sources --json', 'position in the change feed, lag, last sweep']]);

  const workers = look(program, 'workers', 'dispatchers that are alive, and what each is doing').action(
    async (options: ShowOptions) => {
      const { showLivingWorkers } = await import('../operate/lists.ts');
      await showLivingWorkers(options);
    },
  );
  withExamples(workers, [['workers --watch', 'see them work']]);
}

function look(program: Command, name: string, description: string): Command {
  return withWatch(withJson(withConfig(program.command(name).description(description))));
}
