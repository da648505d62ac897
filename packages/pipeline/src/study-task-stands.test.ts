import type { StudyTaskData } from '@dicom-dispatch/core';
import type { DeliveryRecord, DeliveryState, Records } from '@dicom-dispatch/state/records';
import { expect, it } from 'vitest';
import { studyTaskStands } from './study-task-stands.ts';

const records = (...all: readonly [DeliveryState, string?][]): Pick<Records, 'deliveriesOf'> => ({
  deliveriesOf: async () => all.map(([state, studyTaskId = 's-1']) => ({ state, studyTaskId }) as DeliveryRecord),
});
const task = { studyTaskId: 's-1' } as StudyTaskData;

it.each<[Awaited<ReturnType<typeof studyTaskStands>>, DeliveryState[]]>([
  ['unknown', []],
  ['unknown', ['moved', 'moved']],
  ['open', ['waiting']],
  ['open', ['active']],
  ['open', ['delivered', 'waiting']],
  ['open', ['failed', 'active', 'delivered']],
  ['arrived', ['delivered', 'delivered']],
  ['arrived', ['moved', 'delivered']],
  ['person', ['failed']],
  ['person', ['delivered', 'partial']],
  ['person', ['delivered', 'source-gone', 'moved']],
  ['person', ['cancelled', 'delivered']],
  ['person', ['resolved', 'delivered']],
])('a study task is %s when its deliveries are %j', async (expected, states) => {
  expect(await studyTaskStands(records(...states.map((state) => [state] as [DeliveryState])), task)).toBe(expected);
});

it('deliveries of other study tasks of the study do not count', async () => {
  const all = records(['delivered'], ['waiting', 's-2'], ['failed', 's-3']);
  expect(await studyTaskStands(all, task)).toBe('arrived');
  expect(await studyTaskStands(all, { studyTaskId: 's-2' } as StudyTaskData)).toBe('open');
  expect(await studyTaskStands(all, { studyTaskId: 's-4' } as StudyTaskData)).toBe('unknown');
});

it('a study task with further targets is that of all targets', async () => {
  const part = { studyTaskId: 's-part', partOf: 's-1' } as StudyTaskData;
  expect(await studyTaskStands(records(['delivered'], ['waiting', 's-part']), part)).toBe('arrived');
});
