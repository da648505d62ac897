import { configWarnings, describePlace, targetPlace, type Config, type TargetConfig } from '@dicom-dispatch/core';
import { editableSections, type AfterApply, type DraftContext } from '@dicom-dispatch/operations';
import { restartNeeded } from '@dicom-dispatch/runtime';
import { transformWarnings } from '@dicom-dispatch/sources';

/** Warnings before a configuration is applied. */
export async function draftWarnings(
  context: DraftContext,
  next: Config,
  after: readonly AfterApply[],
  isEditor: boolean,
): Promise<string[]> {
  const now = context.config();
  const warnings: string[] = [];
  for (const [name, target] of Object.entries(now.targets)) {
    const decided = after.find((one) => one.target === name);
    const other = next.targets[name];
    if (!other) {
      const { waiting, active } = await context.records.counts(name);
      const count = waiting + active;
      if (count > 0) {
        const wait = count === 1 ? 'delivery waits' : 'deliveries wait';
        warnings.push(`${name} is removed, and ${count} ${wait} for it: ${removal(decided)}`);
      }
      const heir = newNames(now.targets, next.targets).find((one) => isSamePlace(target, next.targets[one]));
      if (heir !== undefined)
        warnings.push(
          `${heir} is the place of ${name} under a new name: what ${name} has confirmed is not known of ${heir}, and a study that goes there again is sent as a whole`,
        );
      continue;
    }
    const [was, is] = [targetPlace(target), targetPlace(other)];
    if (was.id === is.id || (was.identity !== undefined && was.identity === is.identity)) continue;
    warnings.push(`${name} was ${describePlace(was)} and will be ${describePlace(is)}: ${readdressed(decided)}`);
  }
  for (const [name, { url, enabled }] of Object.entries(now.sources)) {
    if (enabled && next.sources[name]?.enabled === false)
      warnings.push(`${name} is disabled: its new studies are not routed until it is enabled`);
    if (next.sources[name]) continue;
    warnings.push(
      `${name} is removed: its studies are no longer routed, and running deliveries can no longer read them`,
    );
    const heir = newNames(now.sources, next.sources).find((one) => String(next.sources[one]?.url) === String(url));
    if (heir !== undefined)
      warnings.push(
        `${heir} is ${name} under a new name, and is followed as a new source, from its startFrom on: with "now", studies that come before the change is in use are missed; with "everything", all studies are sent again`,
      );
  }
  const known = new Set(linesOf(now, isEditor));
  warnings.push(...linesOf(next, isEditor).filter((line) => !known.has(line)));
  const restart = restartNeeded(now, next);
  if (restart.length > 0) warnings.push(`from the next start on: ${restart.join(', ')}`);
  return warnings;
}

/** Warnings of `config check`; for an editor those of their sections. */
function linesOf(config: Config, isEditor: boolean): string[] {
  return [...configWarnings(config), ...transformWarnings(config)]
    .filter(({ path }) => !isEditor || editableSections.has(String(path[0])))
    .map(({ path, message }) => `${path.join('.')}: ${message}`);
}

function removal(decided: AfterApply | undefined): string {
  if (decided?.act === 'move') return `they are moved to ${decided.to}`;
  if (decided?.act === 'drop') return 'they are cancelled';
  return 'they are kept until somebody moves or drops them';
}

function readdressed(decided: AfterApply | undefined): string {
  if (decided?.act === 'same-place') return 'instances confirmed there stay confirmed, and are not sent again';
  if (decided?.act === 'new-place') return 'nothing is confirmed there';
  return 'its deliveries wait until somebody decides whether the content is the same';
}

function newNames(now: Readonly<Record<string, unknown>>, next: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(next).filter((name) => !Object.hasOwn(now, name));
}

/** Whether a target has the same address as before. False for a type without an address: its place is unknown. */
function isSamePlace(one: TargetConfig, other: TargetConfig | undefined): boolean {
  if (!other) return false;
  const [was, is] = [targetPlace(one), targetPlace(other)];
  return was.id === is.id && Object.keys(was.facts).length > 1;
}
