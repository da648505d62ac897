import { InvalidArgumentError, type Command } from 'commander';
import type { FindOptions } from '../operate/find-at-target.ts';
import type { PullOptions } from '../operate/pull-study.ts';
import { withConfig, withExamples, withJson } from './options.ts';

/** `find` and `pull`: search a target, and retrieve studies from it. They need neither Redis nor a running service. */
export function addPullCommands(program: Command): void {
  const find = program
    .command('find')
    .description('search a target: a PACS by C-FIND, a DICOMweb server by QIDO-RS, or an Orthanc')
    .requiredOption('--target <name>', 'target to use')
    .option('--accession <number>', 'accession number; * and ? are wildcards')
    .option('--patient <id>', 'patient id; * and ? are wildcards')
    .option('--study <uid>', 'Study Instance UID')
    .option('--date <date>', 'study date YYYYMMDD, or a range YYYYMMDD-YYYYMMDD', parseDate)
    .option('--series <key=value>', 'only series that match, such as Modality=CT; may be repeated', parseFilter)
    .option('--limit <count>', 'maximum number of studies to show', parseCount, 100)
    .option('--fresh', 'query the target, even if the same search is cached')
    .action(async (options: FindOptions) => {
      const { findAtTarget } = await import('../operate/find-at-target.ts');
      await findAtTarget(options);
    });
  withExamples(withJson(withConfig(find)), [
    ['find --target pacs --patient 4711', 'the studies of a patient'],
    ['find --target pacs --patient 4711 --fresh', 'what the target has now, without the cache'],
    ["find --target pacs --date 20260301- --series 'Modality=CT'", 'studies with a CT series since a date'],
  ]);
  const pull = program
    .command('pull')
    .description('retrieve a study from a target; when repeated, only missing instances are retrieved')
    .requiredOption('--target <name>', 'target to use')
    .option('--study <uid>', 'Study Instance UID', parseUid)
    .option('--accession <number>', 'accession number: all its studies')
    .option('--series <uid...>', 'only these series', parseUids)
    .option('--to-folder <folder>', 'write it to this folder, one file per instance')
    .option('--to-source <name>', 'store it in the Orthanc of a source, where the rules apply to it')
    .action(async (options: PullOptions) => {
      const { pullNow } = await import('../operate/pull-study.ts');
      await pullNow(options);
    });
  withExamples(withJson(withConfig(pull)), [
    ['pull --target pacs --study 1.2.3 --to-folder ./prior', 'into a folder'],
    ['pull --target pacs --study 1.2.3 --to-source main', 'into Orthanc, where the rules apply to it'],
    ['pull --target pacs --accession A4711 --to-source main', 'all studies with an accession number'],
  ]);
}

function parseDate(text: string): string {
  if (/^(\d{8}|\d{8}-(\d{8})?|-\d{8})$/.test(text)) return text;
  throw new InvalidArgumentError('a date is YYYYMMDD, a range YYYYMMDD-YYYYMMDD');
}

function parseFilter(text: string, earlier: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, key, value] = /^([A-Za-z][A-Za-z0-9]*)=(.*)$/su.exec(text) ?? [];
  if (key !== undefined && value !== undefined) return { ...earlier, [key]: value };
  throw new InvalidArgumentError('a filter is KEYWORD=VALUE, such as Modality=CT or SeriesDescription=*axial*');
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new InvalidArgumentError('a whole number from 1');
}

function parseUid(text: string): string {
  if (/^[0-9.]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError('a UID has digits and dots, 64 at most');
}

function parseUids(text: string, earlier: readonly string[] = []): string[] {
  return [...earlier, parseUid(text)];
}
