import { InvalidArgumentError, type Command } from 'commander';
import type { BulkAction } from '@dicom-dispatch/operations';
import type { ActOptions } from '../operate/act.ts';
import type { ForgetOptions } from '../operate/forget.ts';
import type { RecoverOptions } from '../operate/recover.ts';
import { parseTime, withConfig, withErrorSelection, withExamples, withJson, withSelection } from './options.ts';

interface TargetOptions {
  readonly config: string;
  readonly json?: boolean;
}

/** Commands that change something: what the buttons of the console do. */
export function addOperateCommands(program: Command): void {
  const retry = addAct(program, 'retry', 'let deliveries go again, with all their attempts; what waits goes at once');
  retry
    .option('--first', 'before all others of their targets')
    .option('--anyway', 'also outside the schedule of target and rules; only with ids');
  withExamples(retry, [
    ['retry A20260301 --anyway', 'now, although its schedule opens in the night'],
    ['retry A20260301 --target pacs', 'the delivery of this study to pacs'],
    ['retry d-0123456789abcdef0123', 'one delivery'],
    ['retry --target pacs --state failed --since 2d --dry-run', 'how many that would be'],
    ['retry --target pacs --state failed --since 2d --yes', 'all of them, without asking'],
  ]);
  withExamples(addAct(program, 'first', 'put waiting deliveries before all others of their targets'), [
    ['first A20260301', 'what waits of this study, to every target'],
  ]);
  withExamples(addAct(program, 'hold', 'keep waiting deliveries from starting'), [
    ['hold A20260301', 'whatever of this study has not begun yet'],
    ['hold --target archive --yes', 'all that waits for archive now (target pause stops what comes later, too)'],
  ]);
  withExamples(addAct(program, 'release', 'let held deliveries go'), [
    ['release A20260301', 'what is held of this study'],
    ['release --all --yes', 'everything that is held'],
  ]);
  withExamples(addAct(program, 'cancel', 'stop deliveries; what the target has confirmed stays there'), [
    ['cancel A20260301 --target pacs', 'not to pacs any more'],
    ['cancel --rule night-archive --state waiting', 'all that this rule routed and that waits; asks first'],
  ]);
  withExamples(
    addAct(program, 'resolve', 'settle deliveries that did not arrive: they count as failed no longer').requiredOption(
      '--reason <text>',
      'why they need nobody any more; kept in Redis and the audit log, no patient data',
    ),
    [
      ['resolve A20260301 --target pacs --reason "sent from the modality"', 'one study'],
      [
        'resolve --code target-full --until 30d --reason "old archive is gone"',
        'all that the filter means; asks first',
      ],
    ],
  );
  withExamples(addAct(program, 'reopen', 'make resolved deliveries what they were before'), [
    ['reopen A20260301 --target pacs', 'it is failed again, and counted'],
  ]);
  addTargetCommands(program);
  addSourceCommands(program);
  addRouteCommand(program);
  addRecoverCommand(program);
  addForgetCommand(program);
  addReloadCommand(program);
}

function addReloadCommand(program: Command): void {
  const command = withJson(
    withConfig(
      program
        .command('reload')
        .description(
          'let all services read their configuration again; all check it first, and apply it only when all can',
        ),
    ),
  ).action(async (options: TargetOptions) => {
    const { reloadNow } = await import('../operate/reload.ts');
    await reloadNow(options);
  });
  withExamples(command, [['reload', 'after a change of dispatch.yaml; what is under way goes on as it began']]);
}

function addForgetCommand(program: Command): void {
  const command = program
    .command('forget')
    .summary('forget studies that have left their source')
    .description(
      'forget studies that have left their source, with what targets have confirmed of them: those named, or all to which nothing has happened since; without it they go after records.keep',
    )
    .argument('[study...]', 'Study Instance UIDs')
    .option('--source <name>', 'of this source; one that is no longer configured has to be named')
    .option('--until <when>', 'last changed before: an age (365d) or a date (2026-03-01)', parseTime)
    .option('--failed', 'also those with deliveries that have failed')
    .option('-n, --dry-run', 'say what it would reach, and do nothing')
    .option('-y, --yes', 'do not ask');
  withJson(withConfig(command)).action(async (ids: string[], options: ForgetOptions) => {
    const { forgetNow } = await import('../operate/forget.ts');
    await forgetNow(ids, options);
  });
  withExamples(command, [
    ['forget --until 365d --dry-run', 'how many studies that would be, and about how much of Redis'],
    ['forget --until 30d --failed --yes', 'also what has failed and cannot be sent any more, without asking'],
    ['forget --source old-gateway --until 1d', 'what came from a source that was taken out of the configuration'],
    ['forget 1.2.840.113619.2.55.3.1', 'one study'],
  ]);
}

function addAct(program: Command, action: BulkAction, description: string): Command {
  const command = program
    .command(action)
    .summary(description)
    .description(`${description}: those named, or all that the filter means`)
    .argument('[id...]', 'deliveries, or studies by UID or accession number');
  return withJson(withConfig(withErrorSelection(withSelection(command))))
    .option('--all', 'all of them: where no filter is meant')
    .option('-n, --dry-run', 'say what it would reach, and do nothing')
    .option('-y, --yes', 'do not ask')
    .action(async (ids: string[], options: ActOptions) => {
      const { actNow } = await import('../operate/act.ts');
      await actNow(action, ids, options);
    });
}

function addTargetCommands(program: Command): void {
  const target = program
    .command('target')
    .description('test, pause, resume or limit a target; decide about one that was moved or removed');
  const add = (name: string, description: string): Command =>
    withJson(withConfig(target.command(name).description(description).argument('<target>', 'its name')));

  withExamples(
    add('test', 'try the connection step by step; exits with 1 when it fails').action(
      async (name: string, options: TargetOptions) => {
        const { testTargetNow } = await import('../operate/test-target.ts');
        await testTargetNow(name, options);
      },
    ),
    [['target test pacs', 'each step with its result, and what to do about a failure']],
  );
  withExamples(
    add('pause', 'let no further delivery start; those under way end').action(
      async (name: string, options: TargetOptions) => {
        const { pauseNow } = await import('../operate/targets.ts');
        await pauseNow(name, options, true);
      },
    ),
    [['target pause pacs', 'before pacs goes down for maintenance']],
  );
  withExamples(
    add('resume', 'let deliveries start again').action(async (name: string, options: TargetOptions) => {
      const { pauseNow } = await import('../operate/targets.ts');
      await pauseNow(name, options, false);
    }),
    [['target resume pacs', 'what has waited goes, the most urgent first']],
  );
  withExamples(
    add('same', 'a target with another address has the same contents: keep its ledger').action(
      async (name: string, options: TargetOptions) => {
        const { decidePlaceNow } = await import('../operate/targets.ts');
        await decidePlaceNow(name, options, 'same');
      },
    ),
    [['target same pacs', 'the archive was moved to another server with all that it had']],
  );
  withExamples(
    add('new', 'a target with another address is another place: begin a new ledger').action(
      async (name: string, options: TargetOptions) => {
        const { decidePlaceNow } = await import('../operate/targets.ts');
        await decidePlaceNow(name, options, 'new');
      },
    ),
    [['target new pacs', 'an empty archive has taken its place; the former ledger is kept']],
  );
  withExamples(
    add('move', 'give what waits for a target that was removed from the configuration to another one')
      .requiredOption('--to <target>', 'the target that gets it')
      .action(async (name: string, options: TargetOptions & { to: string }) => {
        const { decideOrphanNow } = await import('../operate/targets.ts');
        await decideOrphanNow(name, options, options.to);
      }),
    [['target move old-pacs --to pacs', 'see "dispatch targets" for those that are orphaned']],
  );
  withExamples(
    add('drop', 'cancel what waits for a target that was removed from the configuration')
      .option('-y, --yes', 'do not ask')
      .action(async (name: string, options: TargetOptions & { yes?: boolean }) => {
        const { decideOrphanNow } = await import('../operate/targets.ts');
        await decideOrphanNow(name, options, undefined);
      }),
    [['target drop old-pacs', 'what it has confirmed stays known']],
  );
  withExamples(
    add('concurrency', 'how many deliveries run at the same time, over all dispatchers')
      .argument('<count>', 'a whole number', parseCount)
      .action(async (name: string, count: number, options: TargetOptions) => {
        const { limitNow } = await import('../operate/targets.ts');
        await limitNow(name, options, { concurrency: count });
      }),
    [['target concurrency pacs 2', 'at once on all dispatchers, until the configuration is reloaded']],
  );
  withExamples(
    add('rate', 'how many deliveries start in a minute, over all dispatchers')
      .argument('<count>', 'a whole number, or "none"', (text) => (text === 'none' ? text : parseCount(text)))
      .action(async (name: string, count: number | 'none', options: TargetOptions) => {
        const { limitNow } = await import('../operate/targets.ts');
        await limitNow(name, options, { rate: count === 'none' ? undefined : count });
      }),
    [
      ['target rate pacs 30', 'thirty a minute, until the configuration is reloaded'],
      ['target rate pacs none', 'as many as there are'],
    ],
  );
}

function addSourceCommands(program: Command): void {
  const source = program.command('source').description('try studies of a source now that could not be read');
  withExamples(
    withJson(
      withConfig(
        source
          .command('try')
          .description('try studies now that are put off, see "dispatch sources"')
          .argument('<source>', 'its name')
          .argument('[study]', "Orthanc's id of one of them; without it, all"),
      ),
    ).action(async (name: string, study: string | undefined, options: TargetOptions) => {
      const { tryStudiesOf } = await import('../operate/try-studies.ts');
      await tryStudiesOf(name, study, options);
    }),
    [['source try main', 'after a disk of the source was mended']],
  );
  withExamples(
    withJson(
      withConfig(
        program
          .command('after-success')
          .description('retry the actions in the source after success that have not succeeded yet')
          .argument('<study>', 'Study Instance UID, Orthanc id, accession number or id of a delivery'),
      ),
    ).action(async (study: string, options: TargetOptions) => {
      const { afterSuccessNow } = await import('../operate/try-studies.ts');
      await afterSuccessNow(study, options);
    }),
    [['after-success A20260301', 'instead of waiting for the next try, which comes within 15 minutes']],
  );
}

function addRouteCommand(program: Command): void {
  const command = program
    .command('route')
    .description('route a study now: by the rules, or to the targets that are named')
    .argument('<study>', 'Study Instance UID or accession number')
    .option('--to <target...>', 'to these targets, whatever the rules say')
    .option('--everything', 'also what a target has confirmed already')
    .option('--first', 'ahead of all other deliveries of its targets');
  withJson(withConfig(command)).action(
    async (study: string, options: TargetOptions & { to?: string[]; everything?: boolean; first?: boolean }) => {
      const { routeNow } = await import('../operate/route.ts');
      await routeNow(study, options);
    },
  );
  withExamples(command, [
    ['route A20260301', 'wherever the rules of now send it; only what is missing there'],
    ['route A20260301 --to research', 'to one target, whatever the rules say'],
    ['route A20260301 --to pacs --everything', 'every instance once more'],
    ['route A20260301 --to theatre --first', 'before everything else that waits for it'],
  ]);
}

function addRecoverCommand(program: Command): void {
  const command = program
    .command('recover')
    .description('what was lost when Redis lost data, and what is sent again; where sources begin when no router knows')
    .option('--from <begin>', 'now, everything, YYYY-MM-DD or YYYY-MM-DDTHH:MM (UTC)', parseBegin)
    .option('--source <name>', 'only this source');
  withJson(withConfig(command)).action(async (options: RecoverOptions) => {
    const { recoverNow } = await import('../operate/recover.ts');
    await recoverNow(options);
  });
  withExamples(command, [
    ['recover', 'what was lost last, and what was done about it'],
    ['recover --from 2026-03-01T06:00', 'route what has changed since; what had arrived since is sent again'],
    ['recover --from now', 'route only what comes from now on'],
  ]);
}

function parseBegin(text: string): string {
  if (/^(now|everything|\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?)?)$/.test(text)) return text;
  throw new InvalidArgumentError('now, everything, YYYY-MM-DD or YYYY-MM-DDTHH:MM');
}

function parseCount(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a whole number');
}
