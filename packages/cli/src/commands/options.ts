import type { DeliveryState } from '@dicom-dispatch/state/records';
import type { Stage } from '@dicom-dispatch/core';
import { InvalidArgumentError, Option, type Command } from 'commander';

/** The default configuration file. */
const usualFile = 'dispatch.yaml';

/** States and stages for help and completion, repeated here so that no package is loaded for them. */
const states = [
  'waiting',
  'active',
  'delivered',
  'partial',
  'failed',
  'source-gone',
  'cancelled',
  'moved',
  'resolved',
] as const satisfies readonly DeliveryState[];
const stages = ['resolve', 'manifest', 'connect', 'transfer', 'verify', 'finalize'] as const satisfies readonly Stage[];

/** Options that select deliveries. */
export interface SelectionOptions {
  readonly state?: DeliveryState;
  readonly target?: string;
  readonly stage?: Stage;
  readonly code?: string;
  readonly rule?: string;
  readonly source?: string;
  /** ms since 1970 */
  readonly since?: number;
  /** ms since 1970 */
  readonly until?: number;
}

export function withConfig(command: Command): Command {
  return command.addOption(
    new Option('-c, --config <file>', 'configuration file').env('DICOM_DISPATCH_CONFIG').default(usualFile),
  );
}

export function withJson(command: Command): Command {
  return command.option('--json', 'output JSON, for scripts');
}

export function withWatch(command: Command): Command {
  return command.option('-w, --watch', 'repeat every two seconds, until Ctrl-C');
}

/** Filters of studies and of deliveries. */
export function withSelection(command: Command): Command {
  return command
    .addOption(new Option('--state <state>', 'in this state').choices(states))
    .option('--target <name>', 'to this target')
    .option('--rule <name>', 'routed by this rule')
    .option('--source <name>', 'of this source')
    .option('--since <when>', 'changed since: an age (30m, 2h, 7d) or a date in UTC (2026-03-01T07:00)', parseTime)
    .option('--until <when>', 'changed before: an age or a date', parseTime);
}

/** Filters by the last error. */
export function withErrorSelection(command: Command): Command {
  return command
    .addOption(new Option('--stage <stage>', 'whose last attempt failed in this stage').choices(stages))
    .option('--code <code>', 'whose last error has this code');
}

export function withLimit(command: Command): Command {
  return command.option('--limit <count>', 'maximum number to show', parseLimit, 50);
}

/** Lines for the end of a command's help: examples with their effects. */
export function withExamples(command: Command, examples: readonly (readonly [typed: string, does: string])[]): Command {
  const width = Math.max(...examples.map(([typed]) => typed.length));
  const lines = examples.map(([typed, does]) => `  dispatch ${typed.padEnd(width)}  ${does}`.trimEnd());
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * Reads an age, or a date with an optional time of day, in UTC unless it names another zone.
 *
 * @returns ms since 1970
 * @throws InvalidArgumentError if it is neither
 */
export function parseTime(text: string): number {
  const [, count, unit] = /^(\d{1,7})([mhd])$/.exec(text) ?? [];
  if (count !== undefined) return Date.now() - Number(count) * unitMs[unit as keyof typeof unitMs];
  const date = isCalendarDate(text) ? Date.parse(withZone(text)) : Number.NaN;
  if (Number.isNaN(date)) throw new InvalidArgumentError('an age such as 30m, 2h or 7d, or a date such as 2026-03-01');
  return date;
}

/** `Date.parse` would take a time of day without a zone as one of this machine. */
function withZone(text: string): string {
  return /T[\d:.]+$/.test(text) ? `${text}Z` : text;
}

/** Whether a text begins with a day that exists: `Date.parse` would take 31 February as 3 March. */
function isCalendarDate(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)(?:T\d\d:\d\d.*)?$/.exec(text) ?? [];
  if (year === undefined) return false;
  const date = new Date(`${year}-${month}-01T00:00Z`);
  date.setUTCDate(Number(day));
  return date.getUTCMonth() + 1 === Number(month);
}

function parseLimit(text: string): number {
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (limit >= 1 && limit <= 10_000) return limit;
  throw new InvalidArgumentError('a whole number from 1 to 10000');
}
