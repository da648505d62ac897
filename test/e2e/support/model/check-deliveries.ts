import { jobPlace } from '@dicom-dispatch/pipeline';
import { endStates } from '@dicom-dispatch/state/records';
import { isMadeGood } from './lose-keys.ts';
import type { Model } from './model.ts';

const live = ['ready', 'stalled'];

/** Checks the invariants of everything that was ever routed. @throws Error with the first violation */
export async function checkDeliveries(model: Model): Promise<void> {
  for (const id of model.ids) await checkDelivery(model, id);
  for (const id of await model.openTasks()) await checkTask(model, id);
}

async function checkDelivery(model: Model, id: string): Promise<void> {
  const { operations, witness, forgotten } = model;
  const looked = await operations.records.look(id);
  if (!looked) {
    if (forgotten.has(id)) return;
    const lost = model.lost.get(id);
    if (lost && (await isMadeGood(model, id, lost))) return;
    throw new Error(`${id} is unknown, and nobody has forgotten it`);
  }
  const { record, isHeld, now } = looked;
  if (endStates.includes(record.state)) return;
  if (isHeld && record.state === 'waiting') return;
  const { state, delayedUntil = 0 } = await jobPlace(witness, operations.queues.target(record.target), id);
  const due = record.nextAttemptAt ?? now;
  const isLive = live.includes(state) || (state === 'delayed' && delayedUntil <= due + 10_000);
  if (!isLive || record.state !== 'waiting') {
    throw new Error(`${id} is ${record.state} (${record.wake}), and its job is ${state}`);
  }
}

/** Each action in the source that is due once all deliveries are complete has a job. */
async function checkTask({ operations, witness, tasks }: Model, id: string): Promise<void> {
  const task = await tasks.read(id);
  if (!task || task.state === 'done') return;
  const deliveries = (await operations.records.deliveriesOf(task.data)).filter(
    ({ studyTaskId }) => studyTaskId === (task.data.partOf ?? task.data.studyTaskId),
  );
  const last = deliveries.filter(({ state }) => state !== 'moved');
  if (last.length === 0 || !last.every(({ state }) => state === 'delivered')) return;
  const { state } = await jobPlace(witness, operations.queues.study(), id);
  if (![...live, 'delayed'].includes(state)) throw new Error(`the study task ${id} is due, and its job is ${state}`);
}
