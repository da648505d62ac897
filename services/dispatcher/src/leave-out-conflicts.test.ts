import type { ManifestInstance, TargetConfig } from '@dicom-dispatch/core';
import type { DeliveryRun, InstanceOutcome } from '@dicom-dispatch/target-kit';
import { expect, it } from 'vitest';
import { leaveOutConflicts } from './leave-out-conflicts.ts';

const instance = (sourceId: string, sopInstanceUid: string, isShared = false): ManifestInstance =>
  ({ sourceId, sopInstanceUid, ...(isShared && { sharesSopInstanceUid: true }) }) as ManifestInstance;

function runOf(pending: readonly ManifestInstance[], more: object = {}, onConflict = 'error') {
  const reported = new Map<string, InstanceOutcome>();
  const run = {
    config: { type: 'dicom', onConflict } as unknown as TargetConfig,
    targetName: 'pacs',
    pending,
    quarantined: [],
    log: { info() {}, warn() {} },
    report: async ({ sourceId }: ManifestInstance, outcome: InstanceOutcome) => void reported.set(sourceId, outcome),
    ...more,
  } as unknown as DeliveryRun<TargetConfig>;
  return { run, reported };
}

const byUid = { keyedBy: 'sop-instance-uid' } as const;
const nobody = async () => new Map();
const ids = ({ pending }: Pick<DeliveryRun<TargetConfig>, 'pending'>) => pending.map(({ sourceId }) => sourceId);

it('instances that another study has sent are quarantined, the others are sent', async () => {
  const pending = [instance('a', '1.1'), instance('b', '1.2')];
  const { run, reported } = runOf(pending);
  const other = { source: 'ct', orthancStudyId: 'o-1' };
  const left = await leaveOutConflicts(run, byUid, { pending, delivered: [] }, async () => new Map([['1.2', other]]));
  expect(ids(left)).toEqual(['a']);
  expect(left.quarantined?.map(({ sourceId }) => sourceId)).toEqual(['b']);
  expect([...reported]).toMatchObject([
    ['b', { kind: 'quarantined', error: { code: 'target-conflict', message: expect.stringContaining('o-1 of ct') } }],
  ]);
});

it('of two series that share a UID the existing one keeps it, otherwise the first by its id', async () => {
  const pending = [instance('b', '1.1', true), instance('a', '1.1', true), instance('c', '1.2')];
  const first = runOf(pending);
  expect(ids(await leaveOutConflicts(first.run, byUid, { pending, delivered: [] }, nobody))).toEqual(['a', 'c']);
  expect([...first.reported.keys()]).toEqual(['b']);
  const late = runOf(pending);
  const delivered = [instance('d', '1.1', true)];
  expect(ids(await leaveOutConflicts(late.run, byUid, { pending, delivered }, nobody))).toEqual(['c']);
});

it('of a part of an arriving study, series that share a UID with another one wait for the complete study', async () => {
  const pending = [instance('b', '1.1', true), instance('a', '1.1', true), instance('c', '1.2')];
  const both = runOf(pending, { isPart: true });
  expect(ids(await leaveOutConflicts(both.run, byUid, { pending, delivered: [] }, nobody))).toEqual(['c']);
  expect(both.reported.size).toBe(0);
  // The first one was sent before the second one arrived, in the same part or in an earlier one.
  const first = [instance('b', '1.1'), instance('a', '1.1', true)];
  const same = runOf(first, { isPart: true });
  expect(ids(await leaveOutConflicts(same.run, byUid, { pending: first, delivered: [] }, nobody))).toEqual(['b']);
  const second = [instance('a', '1.1', true)];
  const later = runOf(second, { isPart: true });
  expect(ids(await leaveOutConflicts(later.run, byUid, { pending: second, delivered: [] }, nobody))).toEqual([]);
  expect(later.reported.size).toBe(0);
});

it('does not query if the target sends both, or has a place for each', async () => {
  const pending = [instance('a', '1.1')];
  const never = async (): Promise<never> => {
    throw new Error('asked');
  };
  const noting = runOf(pending, {}, 'note').run;
  expect(await leaveOutConflicts(noting, byUid, { pending, delivered: [] }, never)).toBe(noting);
  const folder = runOf(pending).run;
  expect(await leaveOutConflicts(folder, {}, { pending, delivered: [] }, never)).toBe(folder);
});
