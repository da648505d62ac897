import { describePlace, targetPlace, type Config } from '@dicom-dispatch/core';
import type { AfterApply, DraftContext } from '@dicom-dispatch/operations';
import { restartNeeded } from '@dicom-dispatch/runtime';

/** What somebody should know before a configuration is applied. */
export async function draftWarnings(
  context: DraftContext,
  next: Config,
  after: readonly AfterApply[],
): Promise<string[]> {
  const now = context.config();
  const warnings: string[] = [];
  for (const [name, target] of Object.entries(now.targets)) {
    const decided = after.find((one) => one.target === name);
    const other = next.targets[name];
    if (!other) {
      const { waiting, active } = await context.records.counts(name);
      if (waiting + active > 0)
        warnings.push(`${name} is removed, and ${waiting + active} deliveries wait for it: ${removal(decided)}`);
      continue;
    }
    const [was, is] = [targetPlace(target), targetPlace(other)];
    if (was.id === is.id || (was.identity !== undefined && was.identity === is.identity)) continue;
    warnings.push(`${name} was ${describePlace(was)} and will be ${describePlace(is)}: ${readdressed(decided)}`);
  }
  const used = new Set(next.rules.filter(({ enabled }) => enabled).flatMap(({ targets }) => targets));
  for (const [name, group] of Object.entries(next.groups))
    if (used.has(name)) for (const one of group.targets) used.add(one);
  for (const name of Object.keys(next.targets)) {
    if (!used.has(name) && !now.targets[name]) warnings.push(`no rule sends anything to the new target ${name}`);
  }
  const restart = restartNeeded(now, next);
  if (restart.length > 0) warnings.push(`from the next start on: ${restart.join(', ')}`);
  return warnings;
}

function removal(decided: AfterApply | undefined): string {
  if (decided?.act === 'move') return `they are moved to ${decided.to}`;
  if (decided?.act === 'drop') return 'they are cancelled';
  return 'they are kept until somebody moves or drops them';
}

function readdressed(decided: AfterApply | undefined): string {
  if (decided?.act === 'same-place') return 'what was confirmed there counts, and is not sent again';
  if (decided?.act === 'new-place') return 'nothing counts as confirmed there';
  return 'its deliveries wait until somebody decides whether the contents are the same';
}
