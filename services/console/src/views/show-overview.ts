import { listWorkers, readTargets } from '@dicom-dispatch/operations';
import type { ViewContext } from './view-context.ts';
import type { Overview } from './schemas.ts';

/** The whole system in a few numbers. */
export async function showOverview(context: ViewContext): Promise<Overview> {
  const { operations } = context;
  const [studies, counts, targets, workers] = await Promise.all([
    operations.records.studyCount(),
    operations.records.counts(),
    readTargets(operations),
    listWorkers(operations),
  ]);
  return {
    studies,
    counts,
    openCircuits: targets.filter(({ circuit }) => circuit.state !== 'closed').map(({ name }) => name),
    pausedTargets: targets.filter(({ paused }) => paused).map(({ name }) => name),
    workers: workers.length,
  };
}
