import { listSources, listTargets, showOverview } from '@dicom-dispatch/console/views';
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
    const trouble = [
      ...(overview.workers === 0 ? ['no dispatcher is running'] : []),
      ...sources
        .filter(({ reachable }) => !reachable)
        .map(({ name, detail }) => `the source ${name} does not answer: ${detail}`),
      ...sources.filter(({ followed }) => !followed).map(({ name }) => `no router follows the source ${name}`),
      ...targets
        .filter(({ circuit }) => circuit.state !== 'closed')
        .map(({ name, circuit }) => `the target ${name} cannot be reached: ${circuit.error?.message ?? ''}`),
      ...targets.flatMap(({ moved }) => (moved ? [moved.text] : [])),
      ...targets
        .filter(({ orphaned }) => orphaned)
        .map(
          ({ name, counts }) =>
            `the target ${name} was removed, and ${counts.waiting + counts.active} deliveries wait for it: dispatch target move ${name} --to TARGET, or dispatch target drop ${name}`,
        ),
      ...(overview.counts.failed > 0
        ? [`${overview.counts.failed} deliveries failed: dispatch deliveries --state failed`]
        : []),
      ...(overview.counts.partial > 0
        ? [`${overview.counts.partial} deliveries arrived in part: dispatch deliveries --state partial`]
        : []),
    ];
    process.exitCode = options.check === true && trouble.length > 0 ? exitCodes.trouble : exitCodes.done;
    return { overview, targets, sources, trouble };
  }
}
