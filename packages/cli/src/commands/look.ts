import { InvalidArgumentError, type Command } from 'commander';
import type { ShowOptions } from '../operate/show.ts';

const configOption = ['-c, --config <file>', 'configuration file'] as const;
const jsonOption = ['--json', 'for programs'] as const;
const watchOption = ['-w, --watch', 'again every two seconds, until Ctrl-C'] as const;

interface Filters extends ShowOptions {
  readonly state?: string;
  readonly target?: string;
  readonly rule?: string;
  readonly source?: string;
  readonly stage?: string;
  readonly code?: string;
  readonly since?: number;
  readonly limit: number;
}

/** Commands that show how things stand: over Redis, so that the console need not run. */
export function addLookCommands(program: Command): void {
  look(program.command('status').description('the whole system at a glance'))
    .option('--check', 'exit with 3 when something needs an operator')
    .action(async (options: ShowOptions & { check?: boolean }) => {
      const { showStatus } = await import('../operate/status.ts');
      await showStatus(options);
    });

  look(
    filtered(
      program
        .command('studies')
        .description('studies with the delivery to each target, the newest first')
        .argument('[search]', 'accession number, patient, description, UID, or id of a delivery'),
    ),
  ).action(async (search: string | undefined, options: Filters) => {
    const [{ show }, { listStudies }, { formatStudies }] = await Promise.all([
      import('../operate/show.ts'),
      import('@dicom-dispatch/console/views'),
      import('../operate/format.ts'),
    ]);
    const { state, target, rule, source, since, limit } = options;
    const query = { search, state: state as never, target, rule, source, since, limit };
    await show(
      options,
      (system) => listStudies(system, query),
      ({ studies, total }) => `${formatStudies(studies)}\n${studies.length} of ${total} studies`,
    );
  });

  look(
    program
      .command('study')
      .description('one study: where it is, and why it has not arrived')
      .argument('<id>', 'Study Instance UID, accession number, or id of a delivery'),
  ).action(async (id: string, options: ShowOptions) => {
    const [{ show }, { showStudy }, { formatStudy }, { findStudy }] = await Promise.all([
      import('../operate/show.ts'),
      import('@dicom-dispatch/console/views'),
      import('../operate/format.ts'),
      import('../operate/find-study.ts'),
    ]);
    await show(
      options,
      async (system) => {
        const { source, studyInstanceUid } = await findStudy(system, id);
        return showStudy(system, source, studyInstanceUid);
      },
      formatStudy,
    );
  });

  look(
    filtered(program.command('deliveries').description('deliveries, the latest change first'))
      .option('--stage <stage>', 'where the last attempt failed')
      .option('--code <code>', 'code of the last error'),
  ).action(async (options: Filters) => {
    const [{ show }, { listDeliveries }, { formatDeliveries }] = await Promise.all([
      import('../operate/show.ts'),
      import('@dicom-dispatch/console/views'),
      import('../operate/format.ts'),
    ]);
    const { state, target, rule, source, since, limit, stage, code } = options;
    const query = { state: state as never, target, rule, source, since, limit, stage: stage as never, code };
    await show(
      options,
      (system) => listDeliveries(system, query),
      ({ deliveries }) => formatDeliveries(deliveries),
    );
  });

  look(program.command('targets').description('all targets, with their backlog')).action(
    async (options: ShowOptions) => {
      const [{ show }, { listTargets }, { formatTargets }] = await Promise.all([
        import('../operate/show.ts'),
        import('@dicom-dispatch/console/views'),
        import('../operate/format.ts'),
      ]);
      await show(options, (system) => listTargets(system), formatTargets);
    },
  );

  look(program.command('sources').description('all sources, and how far each is followed')).action(
    async (options: ShowOptions) => {
      const [{ show }, { listSources }, { formatTable, ago }] = await Promise.all([
        import('../operate/show.ts'),
        import('@dicom-dispatch/console/views'),
        import('../operate/print-table.ts'),
      ]);
      await show(
        options,
        (system) => listSources(system),
        (sources) =>
          formatTable(
            ['source', 'state', 'followed', 'position', 'behind by', 'last sweep'],
            sources.map((one) => [
              one.name,
              one.detail,
              one.followed ? 'yes' : 'no',
              one.position ?? 0,
              one.lag ?? 0,
              ago(one.sweep?.endedAt),
            ]),
          ),
      );
    },
  );

  look(program.command('workers').description('dispatchers that are alive, and what each is doing')).action(
    async (options: ShowOptions) => {
      const [{ show }, { showWorkers }, { formatTable, ago }] = await Promise.all([
        import('../operate/show.ts'),
        import('@dicom-dispatch/console/views'),
        import('../operate/print-table.ts'),
      ]);
      await show(
        options,
        (system) => showWorkers(system),
        (workers) =>
          formatTable(
            ['worker', 'host', 'pid', 'started', 'under way'],
            workers.map((one) => [
              one.id,
              one.host,
              String(one.pid),
              ago(one.startedAt),
              one.active.map(({ target, confirmed, total }) => `${target} ${confirmed}/${total}`).join(', ') || 'idle',
            ]),
          ),
      );
    },
  );

  look(
    program
      .command('rules')
      .description('the rules; with a study, what they would do with it and why (a dry run)')
      .argument('[study]', 'accession number, patient id or Study Instance UID'),
  ).action(async (study: string | undefined, options: ShowOptions) => {
    const { showRules } = await import('../operate/rules.ts');
    await showRules(study, options);
  });

  look(program.command('cache').description('what is kept in Redis')).action(async (options: ShowOptions) => {
    const [{ show }, { showCache }, { formatTable }, { formatBytes }] = await Promise.all([
      import('../operate/show.ts'),
      import('@dicom-dispatch/console/views'),
      import('../operate/print-table.ts'),
      import('@dicom-dispatch/core'),
    ]);
    await show(
      options,
      (system) => showCache(system),
      (cache) =>
        `${formatTable(
          ['what', 'entries', 'size', 'remark'],
          cache.groups.map((one) => [
            one.name,
            one.entries,
            one.bytes === undefined ? '-' : formatBytes(one.bytes),
            one.detail,
          ]),
        )}\nRedis uses ${formatBytes(cache.usedBytes)}`,
    );
  });
}

function look(command: Command): Command {
  return command
    .requiredOption(...configOption)
    .option(...jsonOption)
    .option(...watchOption);
}

function filtered(command: Command): Command {
  return command
    .option('--state <state>', 'waiting, active, delivered, partial, failed, source-gone or cancelled')
    .option('--target <name>', 'of this target')
    .option('--rule <name>', 'that this rule routed')
    .option('--source <name>', 'of this source')
    .option('--since <when>', 'an age (30m, 2h, 7d) or a date', parseSince)
    .option('--limit <count>', 'most to show', parseLimit, 50);
}

/** ms since 1970 of an age or a date. */
export function parseSince(text: string): number {
  const age = /^(\d+)([mhd])$/.exec(text);
  if (age) return Date.now() - Number(age[1]) * { m: 60_000, h: 3_600_000, d: 86_400_000 }[age[2] as 'm' | 'h' | 'd'];
  const date = Date.parse(text);
  if (Number.isNaN(date)) throw new InvalidArgumentError('an age such as 30m, 2h or 7d, or a date such as 2026-03-01');
  return date;
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000)
    throw new InvalidArgumentError('a whole number from 1 to 10000');
  return limit;
}
