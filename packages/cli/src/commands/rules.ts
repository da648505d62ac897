import { Option, type Command } from 'commander';
import type { RulesReplayOptions } from '../operate/replay-rules.ts';
import type { ShowOptions } from '../operate/show.ts';
import type { RulesTestOptions } from '../operate/test-rules.ts';
import { parseTime, withConfig, withExamples, withJson } from './options.ts';

/** `rules`, `rules test`, `rules replay`: the rules, their result for a study, and for earlier studies. Nothing is sent. */
export function addRulesCommands(program: Command): void {
  const rules = withJson(
    withConfig(
      program
        .command('rules')
        .description('show the rules; with a study, show what they would do with it and why (a dry run)')
        // Subcommands have their own --json and --config.
        .enablePositionalOptions(),
    ),
  )
    .argument('[study]', 'accession number, patient id or Study Instance UID')
    .action(async (study: string | undefined, options: ShowOptions) => {
      const { showRules, testRules } = await import('../operate/test-rules.ts');
      await (study === undefined ? showRules(options) : testRules({ ...options, study }));
    });
  withExamples(rules, [
    ['rules', 'the rules as configured'],
    ['rules A20260301', 'where this study would go, and why; nothing is sent'],
  ]);

  const test = withJson(
    withConfig(
      rules
        .command('test')
        .description(
          'show for every rule whether it matches, and which part of its expression decided; nothing is sent',
        ),
    ),
  )
    .addOption(new Option('--study <id>', 'a study of a source').conflicts(['file', 'tags']))
    .addOption(
      new Option('--file <file>', 'a DICOM file; neither source nor Redis is used').conflicts(['study', 'tags']),
    )
    .addOption(
      new Option('--tags <file>', "JSON: Orthanc's simplified tags, or { study, series, origin }").conflicts([
        'study',
        'file',
      ]),
    )
    .option('--source <name>', 'the source that the study is in, or would be in')
    .option('--at <when>', 'value of "now" in the expressions, in UTC; default: the current time', parseTime)
    .action(async (options: RulesTestOptions) => {
      const { testRules } = await import('../operate/test-rules.ts');
      await testRules(options);
    });
  withExamples(test, [
    ['rules test --study A20260301', 'a study that is in a source'],
    ['rules test --file ct.dcm --source main', 'a file, as if it were a study of main'],
    ['rules test --tags study.json --at 2026-03-01T23:30', 'tags from a file, evaluated late in the evening'],
  ]);

  const replay = withJson(
    withConfig(
      rules
        .command('replay')
        .description('show what the current rules would have done with already routed studies; nothing is sent'),
    ),
  )
    .addOption(
      new Option('--since <when>', 'studies routed since: an age (30m, 2h, 7d) or a date')
        .argParser(parseTime)
        .default(parseTime('7d'), '7d'),
    )
    .option('--until <when>', 'studies routed before: an age or a date', parseTime)
    .option('--source <name>', 'of this source')
    .action(async (options: RulesReplayOptions) => {
      const { replayNow } = await import('../operate/replay-rules.ts');
      await replayNow(options);
    });
  withExamples(replay, [
    [
      'rules replay --since 7d',
      'test a changed configuration on the last week: targets that would be added or removed',
    ],
    ['rules replay --since 7d -c draft.yaml', 'the same with a draft, before it is used'],
  ]);
}
