import type { Change, OrthancClient, Study } from '@dicom-dispatch/orthanc';
import type { FeedState } from '@dicom-dispatch/state/feed';
import { expect, it } from 'vitest';
import { thereBefore } from './there-before.ts';

const { signal } = new AbortController();
const feed: FeedState = {
  epoch: 1,
  seq: 10,
  beganAt: 10,
  fingerprint: undefined,
  since: '20261129T120000',
  datedUpTo: '20261129T120010',
};
const ahead = '20271129T120000';
const study = (ID: string, LastUpdate: string): Study => ({ ID, LastUpdate }) as Study;

function orthancOf(changes: readonly Partial<Change>[]): OrthancClient {
  return {
    changes: async ({ since }: { since: number }) => ({
      Changes: changes.filter(({ Seq = 0 }) => Seq > since),
      Done: true,
      Last: 0,
    }),
    lastChange: async () => changes.at(-1),
    studies: { series: async (id: string) => [{ Instances: [`${id}-instance`] }] },
  } as unknown as OrthancClient;
}

it('finds what a source had before it was followed, and that is dated later', async () => {
  const changes = [
    { Seq: 9, ChangeType: 'StableStudy', ID: 'old' },
    { Seq: 11, ChangeType: 'NewInstance', ID: 'got-more-instance' },
    { Seq: 12, ChangeType: 'StableStudy', ID: 'new' },
  ];
  const find = thereBefore(orthancOf(changes), feed, () => 1, signal);
  const studies = [study('old', ahead), study('got-more', ahead), study('new', ahead), study('now', '20261129T120005')];
  expect(await find?.(studies)).toEqual(new Set(['old']));
});

it('leaves it to the dates if the feed is not conclusive', () => {
  const { beganAt: _, ...another } = feed;
  expect(thereBefore(orthancOf([]), another, () => 1, signal)).toBeUndefined();
  const { datedUpTo: __, ...former } = feed;
  expect(thereBefore(orthancOf([]), former, () => 1, signal)).toBeUndefined();
  expect(thereBefore(orthancOf([]), { ...feed, floor: 5 }, () => 1, signal)).toBeUndefined();
});

it('treats nothing as old if the feed is shorter than before, or another one', async () => {
  const suspects = [study('one', ahead), study('two', ahead)];
  // Another database, whose numbers start again; and one whose changes were all deleted.
  for (const changes of [[{ Seq: 3, ChangeType: 'NewInstance', ID: 'one-instance' }], []]) {
    expect(await thereBefore(orthancOf(changes), feed, () => 1, signal)?.(suspects)).toEqual(new Set());
  }
  const changes = [
    { Seq: 9, ChangeType: 'StableStudy', ID: 'one' },
    { Seq: 14, ChangeType: 'StableStudy', ID: 'three' },
  ];
  const find = thereBefore(orthancOf(changes), feed, () => 1, signal);
  expect(await find?.(suspects)).toEqual(new Set(['one', 'two']));
  // Deleted in the middle of the sweep.
  changes.splice(1);
  expect(await find?.(suspects)).toEqual(new Set());
  const all = [...changes, { Seq: 14, ChangeType: 'StableStudy', ID: 'three' }];
  expect(await thereBefore(orthancOf(all), feed, () => 2, signal)?.(suspects)).toEqual(new Set());
});
