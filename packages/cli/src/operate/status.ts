import { listSources, listTargets, showOverview } from '@dicom-dispatch/console/views';
import { readHealth } from '@dicom-dispatch/operations';
import { exitCodes } from '../exit.ts';
import { formatTargets } from './format.ts';
import { show, type ShowOptions } from './show.ts';
import type { System } from './with-system.ts';

/** The whole system at a glance; with `check`, the exit code tells whether an operator has to look. */
export async function showStatus(options: ShowOptions & { readonly check?: boolean }): Promise<void> {
  await show(options, readStatus, (status) => {
    const { overview, targets, sources } = status;
    const lines = [
      `${overview.studies} studies routed, ${overview.workers} ${overview.workers === 1 ? 'dispatcher' : 'dispatchers'} running`,
      ...sources.map(
        (one) =>
          `source ${one.name}: ${one.detail}, ${one.followed ? `followed, ${one.lag ?? 0} changes behind` : 'not followed'}`,
      ),
      '',
      formatTargets(targets),
      ...(status.trouble.length > 0 ? ['', ...status.trouble.map((text) => `! ${text}`)] : []),
    ];
    return lines.join('\n');
  });

  async function readStatus(system: System) {
    const [overview, targets, sources] = await Promise.all([
      showOverview(system),
      listTargets(system),
      listSources(system),
    ]);
    const findings = await readHealth(system.operations, sources);
    const trouble = findings.map(({ words }) => words);
    process.exitCode = options.check === true && trouble.length > 0 ? exitCodes.trouble : exitCodes.done;
    return { overview, targets, sources, findings, trouble };
  }
}
