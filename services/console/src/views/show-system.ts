import {
  countErrors,
  listWorkers,
  readDurations,
  readPace,
  readSource,
  readTarget,
  readTargets,
  readThroughput,
  type TargetState,
} from '@dicom-dispatch/operations';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import type { Overview, Source, Target, TargetDetail, Worker } from './schemas.ts';
import { toDeliveries } from './list-deliveries.ts';
import type { ViewContext } from './view-context.ts';

/** The complete system in a few numbers. */
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

export async function listSources(context: ViewContext): Promise<Source[]> {
  return Promise.all(
    Object.keys(context.config().sources).map(async (name) => {
      const state = await readSource(context.operations, name, (source) => context.lookup.client(source));
      return { ...state, putOff: state.putOff.map((one) => ({ ...one })) };
    }),
  );
}

/** The running dispatchers with their current work. */
export async function showWorkers(context: ViewContext): Promise<Worker[]> {
  const { operations } = context;
  const workers = await listWorkers(operations);
  return Promise.all(
    workers.map(async ({ active, ...worker }) => {
      const found = await Promise.all(active.map((id) => operations.records.delivery(id)));
      const records = found.filter((record): record is DeliveryRecord => record !== undefined);
      return Object.assign(worker, { active: await toDeliveries(operations, records) });
    }),
  );
}

export async function listTargets(context: ViewContext): Promise<Target[]> {
  return Promise.all((await readTargets(context.operations)).map((state) => toTarget(context, state)));
}

/** @throws OperationError `not-found` */
export async function showTarget(context: ViewContext, name: string): Promise<TargetDetail> {
  const { operations } = context;
  const state = await readTarget(operations, name);
  const [target, errors, hour, day, week, { parts, ...durations }] = await Promise.all([
    toTarget(context, state),
    countErrors(operations, name),
    readThroughput(operations, name, 60, 1),
    readThroughput(operations, name, 24 * 60, 15),
    readThroughput(operations, name, 7 * 24 * 60, 60),
    readDurations(operations, name),
  ]);
  return { ...target, errors, hour, day, week, durations: { ...durations, parts: [...parts] } };
}

async function toTarget({ operations }: ViewContext, state: TargetState): Promise<Target> {
  const [pace, { slower }] = await Promise.all([
    readPace(operations, state.name, state.counts),
    readDurations(operations, state.name),
  ]);
  return {
    ...state,
    circuit: { ...state.circuit },
    counts: { ...state.counts },
    pace: { ...pace, isSlow: slower !== undefined },
  };
}
