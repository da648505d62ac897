import { runDry, runDryOnFacts, type DryRun } from '@dicom-dispatch/console/views';
import { CommandError, exitCodes } from '../exit.ts';
import { readConfig } from '../read-config.ts';
import { formatTable, plain } from './print-table.ts';
import { factsOfFile, factsOfTags } from './read-facts.ts';
import { withSystem } from './with-system.ts';

export interface RulesTestOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly study?: string;
  readonly file?: string;
  readonly tags?: string;
  readonly source?: string;
  /** ms since 1970 */
  readonly at?: number;
}

type Judged = Pick<DryRun, 'source' | 'targets' | 'priority' | 'deliveries' | 'waiting' | 'verdicts'> &
  Partial<Pick<DryRun, 'studyInstanceUid' | 'instanceCount' | 'others'>>;

/** Prints the rules as configured. */
export async function showRules(options: Pick<RulesTestOptions, 'config' | 'json'>): Promise<void> {
  const { rules } = await readConfig(options.config);
  const rows = rules.map((rule) => [
    rule.name,
    rule.enabled ? 'on' : 'off',
    rule.when ?? 'every study',
    rule.targets.join(', '),
  ]);
  console.log(
    options.json === true
      ? JSON.stringify(rules, undefined, 2)
      : formatTable(['rule', 'state', 'when', 'targets'], rows),
  );
}

/**
 * Shows for every rule whether it matches a study, and which part of its expression decided. Nothing is sent.
 *
 * @throws CommandError if no study is given, or it cannot be read
 */
export async function testRules(options: RulesTestOptions): Promise<void> {
  const judged = await judge(options);
  console.log(options.json === true ? JSON.stringify(judged, undefined, 2) : formatJudged(judged));
}

async function judge(options: RulesTestOptions): Promise<Judged> {
  const { study, file, tags, source } = options;
  const now = options.at === undefined ? undefined : new Date(options.at);
  if (study !== undefined) {
    return withSystem(options.config, (system) =>
      runDry(system, { search: study, source, withValues: true, ...(now && { now }) }),
    );
  }
  if (file === undefined && tags === undefined) {
    throw new CommandError('set a test input: --study ID, --file FILE.dcm or --tags FILE.json', exitCodes.usage);
  }
  const config = await readConfig(options.config);
  if (source !== undefined && !config.sources[source]) {
    throw new CommandError(
      `there is no source "${source}": use one of ${Object.keys(config.sources).join(', ')}`,
      exitCodes.usage,
    );
  }
  const factsOptions = { source: source ?? Object.keys(config.sources)[0] ?? '', now };
  const facts =
    file === undefined ? await factsOfTags(tags ?? '', factsOptions) : await factsOfFile(file, factsOptions);
  return runDryOnFacts(config, facts);
}

function formatJudged(run: Judged): string {
  const head =
    run.studyInstanceUid === undefined
      ? `as a study of ${run.source}`
      : `${run.studyInstanceUid} (${run.instanceCount} instances, in ${run.source})`;
  const others = (run.others ?? 0) > 0 ? `\n${run.others} more were found; this is the first` : '';
  return [
    `${head}${others}`,
    ...whereTo(run),
    '',
    formatTable(
      ['rule', 'verdict', 'because', 'targets'],
      run.verdicts.map((one) => [one.rule, verdictText(one.outcome), one.because, one.targets.join(', ')]),
    ),
    ...decidedBy(run),
  ].join('\n');
}

function verdictText(outcome: DryRun['verdicts'][number]['outcome']): string {
  if (outcome === 'applies') return 'matches';
  if (outcome === 'waits') return 'matches, waits';
  return outcome === 'no-match' ? 'does not match' : outcome === 'stopped' ? 'is stopped' : 'is not needed';
}

function whereTo(run: Judged): string[] {
  if (run.deliveries.length === 0) {
    const waits = run.waiting.map(({ rule, missing }) => `${rule} waits for ${missing.join(', ')}`).join('; ');
    return [`would go to no target: ${waits === '' ? 'no rule matches' : waits}`];
  }
  return run.deliveries.flatMap((one) => {
    const { group } = one;
    const to = group
      ? `${one.to} (group, ${group.strategy} of ${group.members.join(', ')}${group.chosen === undefined ? '' : `; ${group.chosen} has it`})`
      : one.to;
    const how = [
      `priority ${one.priority}`,
      ...(one.instances === undefined ? [] : [`${one.instances} instances`]),
      ...(one.transform === undefined ? [] : [`changed by ${one.transform}`]),
      ...(one.hold ? ['held until released'] : []),
      ...(one.scheduled ? ['within its schedule'] : []),
    ].join(', ');
    const line = one.omitted === undefined ? `would go to ${to}: ${how}` : `would not go to ${to}: ${one.omitted}`;
    return [line, ...priorsOf(one)];
  });
}

/** Earlier studies that would be sent with the study. */
function priorsOf({ priors }: Judged['deliveries'][number]): string[] {
  if (!priors) return [];
  const lines = priors.chosen.map(
    ({ studyInstanceUid, from, why }) => `  with ${studyInstanceUid} from ${from}: ${why}`,
  );
  return [
    ...(lines.length === 0 ? ['  no earlier study would go along'] : lines),
    ...(priors.note === undefined ? [] : [`  ${priors.note}`]),
  ];
}

/** A table of the parts of expressions that decided, with their values. */
function decidedBy(run: Judged): string[] {
  const rows = run.verdicts.flatMap(({ rule, parts }) =>
    parts.map((part) => [
      rule,
      `${part.line}:${part.column}`,
      plain(part.text),
      part.result,
      part.values.map(({ name, value }) => `${name} = ${shown(value)}`).join('; ') || '-',
    ]),
  );
  return rows.length === 0 ? [] : ['', formatTable(['rule', 'at', 'this part decided', 'it', 'with'], rows)];
}

function shown(value: string | string[] | undefined): string {
  if (value === undefined) return 'missing';
  return typeof value === 'string' ? JSON.stringify(value) : `[${value.map((one) => JSON.stringify(one)).join(', ')}]`;
}
