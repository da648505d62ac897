import { listWorkers } from '@dicom-dispatch/operations';
import type { Overview } from './schemas.ts';
import type { ViewContext } from './view-context.ts';

/** The whole system in a few numbers. */
export async function showOverview(context: ViewContext): Promise<Overview> {
  const { operations } = context;
  const names = Object.keys(context.config().targets);
  const [studies, counts, circuits, paused, workers] = await Promise.all([
    operations.records.studyCount(),
    operations.records.counts(),
    Promise.all(names.map((name) => operations.circuits.state(name))),
    Promise.all(names.map((name) => operations.queues.target(name).isPaused())),
    listWorkers(operations),
  ]);
  return {
    studies,
    counts,
    openCircuits: names.filter((_, at) => circuits[at]?.state !== 'closed'),
    pausedTargets: names.filter((_, at) => paused[at]),
    workers: workers.length,
  };
}
