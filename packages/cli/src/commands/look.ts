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

/** Commands that show the state: they read Redis, so the console need not run. */
export function addLookCommands(program: Command): void {
  const status = look(program, 'status', 'show an overview of the system')
    .option('--check', 'exit status 3 if something needs an operator')
    .action(async (options: ShowOptions & { check?: boolean }) => {
      const { showStatus } = await import('../operate/status.ts');
      await showStatus(options);
    });
  withExamples(status, [
    ['status', 'sources, targets and findings that need an operator'],
    ['status --watch', 'repeat every two seconds'],
    ['status --check --json', 'for monitoring: exit status 3 if "trouble" is not empty'],
  ]);

  const studies = withLimit(
    withSelection(look(program, 'studies', 'list studies with the delivery to each target, newest first')),
  )
    .argument('[search]', 'accession number, patient, description, UID, or id of a delivery')
    .action(async (search: string | undefined, options: ListOptions) => {
      const { showStudies } = await import('../operate/lists.ts');
      await showStudies(search, options);
    });
  withExamples(studies, [
    ['studies', 'the latest 50 studies'],
    ['studies A20260301', 'studies with this accession number, patient ID, name or description'],
    ['studies --state failed --target pacs --since 2h', 'deliveries that failed at pacs in the last two hours'],
    ['studies --state waiting --watch', 'deliveries that are still open'],
  ]);

  const study = look(program, 'study', 'show one study: its deliveries, and why it has not arrived')
    .argument('<id>', 'Study Instance UID, accession number, patient id, or id of a delivery')
    .action(async (id: string, options: ShowOptions) => {
      const { showOneStudy } = await import('../operate/lists.ts');
      await showOneStudy(id, options);
    });
  withExamples(study, [
    ['study A20260301', 'each delivery, its events, and what it waits for'],
    ['study d-0123456789abcdef0123', 'the study of a delivery'],
    ['study 1.2.276.0.7230010.3.1.2.1 --watch', 'watch the study arrive'],
  ]);

  const receipt = withConfig(
    program
      .command('receipt')
      .description('show what the targets have confirmed of a study, instance by instance, as evidence')
      .argument('<study>', 'Study Instance UID, Orthanc id, accession number, patient id, or id of a delivery'),
  )
    .option('--target <target>', 'only this target')
    .addOption(new Option('--format <format>', 'output format').choices(receiptFormats).default('table'))
    .action(async (id: string, options: ReceiptOptions) => {
      const { showReceiptOf } = await import('../operate/receipt.ts');
      await showReceiptOf(id, options);
    });
  withExamples(receipt, [
    ['receipt A20260301', 'size, digest, time and response for each instance at each target'],
    ['receipt A20260301 --target pacs --format csv > receipt.csv', 'for a spreadsheet'],
  ]);

  const deliveries = withLimit(
    withErrorSelection(withSelection(look(program, 'deliveries', 'list deliveries, latest change first'))),
  ).action(async (options: ListOptions) => {
    const { showDeliveries } = await import('../operate/lists.ts');
    await showDeliveries(options);
  });
  withExamples(deliveries, [
    ['deliveries --state failed', 'failed deliveries with stage and error'],
    ['deliveries --target pacs --code target-full', 'deliveries for which pacs has no space'],
  ]);

  const targets = look(program, 'targets', 'list all targets with their backlog').action(
    async (options: ShowOptions) => {
      const { showTargets } = await import('../operate/lists.ts');
      await showTargets(options);
    },
  );
  withExamples(targets, [['targets', 'state, counts and oldest waiting delivery of each target']]);

  const sources = look(program, 'sources', 'list all sources with their position in the change feed').action(
    async (options: ShowOptions) => {
      const { showSources } = await import('../operate/lists.ts');
      await showSources(options);
    },
  );
  withExamples(sources, [['sources --json', 'position in the change feed, lag, last sweep']]);

  const workers = look(program, 'workers', 'list running dispatchers and their current work').action(
    async (options: ShowOptions) => {
      const { showLivingWorkers } = await import('../operate/lists.ts');
      await showLivingWorkers(options);
    },
  );
  withExamples(workers, [['workers --watch', 'watch them work']]);
}

function look(program: Command, name: string, description: string): Command {
  return withWatch(withJson(withConfig(program.command(name).description(description))));
}
