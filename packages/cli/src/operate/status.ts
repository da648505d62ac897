import { listSources, listTargets, showOverview } from '@dicom-dispatch/console/views';
import { isTrouble, readHealth, type HealthFinding } from '@dicom-dispatch/operations';
import { exitCodes } from '../exit.ts';
import { formatTargets } from './format.ts';
import { show, type ShowOptions } from './show.ts';
import type { System } from './with-system.ts';

/** An overview of the system; with `check`, the exit code shows whether an operator is needed. */
export async function showStatus(options: ShowOptions & { readonly check?: boolean }): Promise<void> {
  await show(options, readStatus, (status) => {
    const { overview, targets, sources, findings } = status;
    // While Redis has a problem, the overview may be missing.
    if (!overview) return findings.map(lineOf).join('\n');
    // While Redis rejects writes, there are no heartbeats.
    const isUnknown = findings.some(({ kind }) => kind === 'redis-refuses-writes');
    const dispatchers = `${overview.workers} ${overview.workers === 1 ? 'dispatcher' : 'dispatchers'} running`;
    const notFollowed = isUnknown ? 'not known whether it is followed' : 'not followed';
    const lines = [
      `${overview.studies} studies routed, ${isUnknown ? 'not known which services run' : dispatchers}`,
      ...sources.map(
        (one) =>
          `source ${one.name}: ${one.detail}, ${one.followed ? `followed, ${one.lag ?? 0} changes behind` : one.enabled ? notFollowed : 'disabled'}`,
      ),
      '',
      formatTargets(targets),
      ...(findings.length > 0 ? ['', ...findings.map(lineOf)] : []),
    ];
    return lines.join('\n');
  });

  async function readStatus(system: System) {
    const [overview, targets, sources] = await Promise.allSettled([
      showOverview(system),
      listTargets(system),
      listSources(system),
    ]);
    const findings = await readHealth(system.operations, valueOf(sources));
    const unread = [overview, targets, sources].find((one) => one.status === 'rejected');
    if (unread && !findings.some(isTrouble)) throw unread.reason;
    const trouble = findings.filter(isTrouble).map(({ words, remedy }) => `${words}. ${remedy}`);
    process.exitCode = options.check === true && trouble.length > 0 ? exitCodes.trouble : exitCodes.done;
    const shown = unread ? {} : { overview: valueOf(overview) };
    return { ...shown, targets: valueOf(targets) ?? [], sources: valueOf(sources) ?? [], findings, trouble };
  }
}

function valueOf<T>(settled: PromiseSettledResult<T>): T | undefined {
  return settled.status === 'fulfilled' ? settled.value : undefined;
}

function lineOf(one: HealthFinding): string {
  const since = one.since === undefined ? '' : ` (since ${new Date(one.since).toISOString()})`;
  return isTrouble(one) ? `! ${one.words}${since}. ${one.remedy}` : `- ${one.words}${since}`;
}
