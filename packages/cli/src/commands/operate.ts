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

/** Commands that change something: the same actions as the buttons of the console. */
export function addOperateCommands(program: Command): void {
  const retry = addAct(program, 'retry', 'retry deliveries with all their attempts; waiting deliveries start at once');
  retry
    .option('--first', 'before all other deliveries of their targets')
    .option('--anyway', 'also outside the schedules of target and rules; only with ids');
  withExamples(retry, [
    ['retry A20260301 --anyway', 'now, although its schedule only opens at night'],
    ['retry A20260301 --target pacs', 'the delivery of this study to pacs'],
    ['retry d-0123456789abcdef0123', 'one delivery'],
    ['retry --target pacs --state failed --since 2d --dry-run', 'show how many deliveries match'],
    ['retry --target pacs --state failed --since 2d --yes', 'all of them, without confirmation'],
  ]);
  withExamples(addAct(program, 'first', 'move waiting deliveries before all others of their targets'), [
    ['first A20260301', 'waiting deliveries of this study, to every target'],
  ]);
  withExamples(addAct(program, 'hold', 'keep waiting deliveries from starting'), [
    ['hold A20260301', 'all deliveries of this study that have not started'],
    ['hold --target archive --yes', 'all deliveries that wait for archive now (target pause also stops later ones)'],
  ]);
  withExamples(addAct(program, 'release', 'release held deliveries'), [
    ['release A20260301', 'held deliveries of this study'],
    ['release --all --yes', 'all held deliveries'],
  ]);
  withExamples(addAct(program, 'cancel', 'cancel deliveries; instances that the target has confirmed stay there'), [
    ['cancel A20260301 --target pacs', 'no longer send it to pacs'],
    ['cancel --rule night-archive --state waiting', 'all waiting deliveries of this rule, after confirmation'],
  ]);
  withExamples(
    addAct(program, 'resolve', 'resolve deliveries that did not arrive: they no longer count as failed').requiredOption(
      '--reason <text>',
      'why no further action is needed; stored in Redis and in the audit log, so without patient data',
    ),
    [
      ['resolve A20260301 --target pacs --reason "sent from the modality"', 'one study'],
      [
        'resolve --code target-full --until 30d --reason "old archive is gone"',
        'all deliveries that match the filter, after confirmation',
      ],
    ],
  );
  withExamples(addAct(program, 'reopen', 'reopen resolved deliveries: they have their previous state again'), [
    ['reopen A20260301 --target pacs', 'it counts as failed again'],
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
          'reload the configuration on all services; all check it first, and apply it only if all accept it',
        ),
    ),
  ).action(async (options: TargetOptions) => {
    const { reloadNow } = await import('../operate/reload.ts');
    await reloadNow(options);
  });
  withExamples(command, [
    ['reload', 'after a change of dispatch.yaml; running deliveries keep the previous configuration'],
  ]);
}

function addForgetCommand(program: Command): void {
  const command = program
    .command('forget')
    .summary('remove the records of studies that have left their source')
    .description(
      'remove the records and confirmations of studies that have left their source: the named studies, or all without changes since a time. Without this command they are removed after records.keep',
    )
    .argument('[study...]', 'Study Instance UIDs')
    .option('--source <name>', 'of this source; a source that is no longer configured must be named')
    .option('--until <when>', 'last changed before: an age (365d) or a date (2026-03-01)', parseTime)
    .option('--failed', 'also studies with failed deliveries')
    .option('-n, --dry-run', 'show what would be affected, and do nothing')
    .option('-y, --yes', 'do not ask for confirmation');
  withJson(withConfig(command)).action(async (ids: string[], options: ForgetOptions) => {
    const { forgetNow } = await import('../operate/forget.ts');
    await forgetNow(ids, options);
  });
  withExamples(command, [
    ['forget --until 365d --dry-run', 'show the number of studies and their approximate size in Redis'],
    ['forget --until 30d --failed --yes', 'also failed deliveries that can no longer be sent, without confirmation'],
    ['forget --source old-gateway --until 1d', 'studies of a source that was removed from the configuration'],
    ['forget 1.2.840.113619.2.55.3.1', 'one study'],
  ]);
}

function addAct(program: Command, action: BulkAction, description: string): Command {
  const command = program
    .command(action)
    .summary(description)
    .description(`${description}: the named ones, or all that match the filter`)
    .argument('[id...]', 'deliveries, or studies by UID or accession number');
  return withJson(withConfig(withErrorSelection(withSelection(command))))
    .option('--all', 'all of them, without a filter')
    .option('-n, --dry-run', 'show what would be affected, and do nothing')
    .option('-y, --yes', 'do not ask for confirmation')
    .action(async (ids: string[], options: ActOptions) => {
      const { actNow } = await import('../operate/act.ts');
      await actNow(action, ids, options);
    });
}

function addTargetCommands(program: Command): void {
  const target = program
    .command('target')
    .description('test, pause, resume or limit a target; decide about a moved or removed target');
  const add = (name: string, description: string): Command =>
    withJson(withConfig(target.command(name).description(description).argument('<target>', 'its name')));

  withExamples(
    add('test', 'test the connection step by step; exit status 1 if it fails').action(
      async (name: string, options: TargetOptions) => {
        const { testTargetNow } = await import('../operate/test-target.ts');
        await testTargetNow(name, options);
      },
    ),
    [['target test pacs', 'each step with its result, and the remedy for a failure']],
  );
  withExamples(
    add('pause', 'pause a target: no further delivery starts, running ones finish').action(
      async (name: string, options: TargetOptions) => {
        const { pauseNow } = await import('../operate/targets.ts');
        await pauseNow(name, options, true);
      },
    ),
    [['target pause pacs', 'before pacs goes down for maintenance']],
  );
  withExamples(
    add('resume', 'resume a target: deliveries start again').action(async (name: string, options: TargetOptions) => {
      const { pauseNow } = await import('../operate/targets.ts');
      await pauseNow(name, options, false);
    }),
    [['target resume pacs', 'waiting deliveries start, the most urgent first']],
  );
  withExamples(
    add('same', 'a target with a new address has the same content: keep its ledger').action(
      async (name: string, options: TargetOptions) => {
        const { decidePlaceNow } = await import('../operate/targets.ts');
        await decidePlaceNow(name, options, 'same');
      },
    ),
    [['target same pacs', 'the archive was moved to another server with all its content']],
  );
  withExamples(
    add('new', 'a target with a new address is another place: start a new ledger').action(
      async (name: string, options: TargetOptions) => {
        const { decidePlaceNow } = await import('../operate/targets.ts');
        await decidePlaceNow(name, options, 'new');
      },
    ),
    [['target new pacs', 'an empty archive has replaced it; the previous ledger is kept']],
  );
  withExamples(
    add('move', 'move the waiting deliveries of a removed target to another target')
      .requiredOption('--to <target>', 'the target that receives them')
      .action(async (name: string, options: TargetOptions & { to: string }) => {
        const { decideOrphanNow } = await import('../operate/targets.ts');
        await decideOrphanNow(name, options, options.to);
      }),
    [['target move old-pacs --to pacs', '"dispatch targets" lists removed targets with waiting deliveries']],
  );
  withExamples(
    add('drop', 'cancel the waiting deliveries of a removed target')
      .option('-y, --yes', 'do not ask for confirmation')
      .action(async (name: string, options: TargetOptions & { yes?: boolean }) => {
        const { decideOrphanNow } = await import('../operate/targets.ts');
        await decideOrphanNow(name, options, undefined);
      }),
    [['target drop old-pacs', 'its confirmations are kept']],
  );
  withExamples(
    add('concurrency', 'set how many deliveries run in parallel, over all dispatchers')
      .argument('<count>', 'a whole number', parseCount)
      .action(async (name: string, count: number, options: TargetOptions) => {
        const { limitNow } = await import('../operate/targets.ts');
        await limitNow(name, options, { concurrency: count });
      }),
    [['target concurrency pacs 2', 'takes effect at once on all dispatchers, until the configuration is reloaded']],
  );
  withExamples(
    add('rate', 'set how many deliveries start per minute, over all dispatchers')
      .argument('<count>', 'a whole number, or "none"', (text) => (text === 'none' ? text : parseCount(text)))
      .action(async (name: string, count: number | 'none', options: TargetOptions) => {
        const { limitNow } = await import('../operate/targets.ts');
        await limitNow(name, options, { rate: count === 'none' ? undefined : count });
      }),
    [
      ['target rate pacs 30', '30 per minute, until the configuration is reloaded'],
      ['target rate pacs none', 'no limit'],
    ],
  );
}

function addSourceCommands(program: Command): void {
  const source = program.command('source').description('read postponed studies of a source now');
  withExamples(
    withJson(
      withConfig(
        source
          .command('try')
          .description('read postponed studies now; "dispatch sources" lists them')
          .argument('<source>', 'its name')
          .argument('[study]', "Orthanc's id of one of them; without it, all"),
      ),
    ).action(async (name: string, study: string | undefined, options: TargetOptions) => {
      const { tryStudiesOf } = await import('../operate/try-studies.ts');
      await tryStudiesOf(name, study, options);
    }),
    [['source try main', 'after a disk of the source was repaired']],
  );
  withExamples(
    withJson(
      withConfig(
        program
          .command('after-success')
          .description('retry the actions after success in the source that have failed')
          .argument('<study>', 'Study Instance UID, Orthanc id, accession number or id of a delivery'),
      ),
    ).action(async (study: string, options: TargetOptions) => {
      const { afterSuccessNow } = await import('../operate/try-studies.ts');
      await afterSuccessNow(study, options);
    }),
    [['after-success A20260301', 'instead of waiting up to 15 minutes for the next attempt']],
  );
}

function addRouteCommand(program: Command): void {
  const command = program
    .command('route')
    .description('route a study now: by the rules, or to the given targets')
    .argument('<study>', 'Study Instance UID or accession number')
    .option('--to <target...>', 'to these targets, regardless of the rules')
    .option('--everything', 'resend instances that are already confirmed')
    .option('--first', 'before all other deliveries of its targets');
  withJson(withConfig(command)).action(
    async (study: string, options: TargetOptions & { to?: string[]; everything?: boolean; first?: boolean }) => {
      const { routeNow } = await import('../operate/route.ts');
      await routeNow(study, options);
    },
  );
  withExamples(command, [
    ['route A20260301', 'to the targets of the current rules; only missing instances are sent'],
    ['route A20260301 --to research', 'to one target, regardless of the rules'],
    ['route A20260301 --to pacs --everything', 'resend every instance'],
    ['route A20260301 --to theatre --first', 'before all other waiting deliveries of theatre'],
  ]);
}

function addRecoverCommand(program: Command): void {
  const command = program
    .command('recover')
    .description(
      'show what was lost when Redis lost data and what is sent again; set where sources start if no router has notes of them',
    )
    .option('--from <begin>', 'now, everything, YYYY-MM-DD or YYYY-MM-DDTHH:MM (UTC)', parseBegin)
    .option('--source <name>', 'only this source');
  withJson(withConfig(command)).action(async (options: RecoverOptions) => {
    const { recoverNow } = await import('../operate/recover.ts');
    await recoverNow(options);
  });
  withExamples(command, [
    ['recover', 'the last data loss, and how it was recovered'],
    ['recover --from 2026-03-01T06:00', 'route all changes since then; studies that arrived since then are sent again'],
    ['recover --from now', 'route only new studies from now on'],
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
