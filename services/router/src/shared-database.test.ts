import { sourceConfig } from '@dicom-dispatch/core';
import type { Change, OrthancClient } from '@dicom-dispatch/orthanc';
import type { FeedState } from '@dicom-dispatch/state/feed';
import { expect, it } from 'vitest';
import { SharedDatabase } from './shared-database.ts';

const { signal } = new AbortController();
type Feed = readonly Change[];
const change = (Seq: number, ID: string): Change =>
  ({ Seq, ID, ChangeType: 'StableStudy', Date: '20261129T120000' }) as Change;
const one: Feed = [change(1, 'a'), change(2, 'b'), change(3, 'c')];
/** A copy of it that has continued independently. */
const copy: Feed = [change(1, 'a'), change(2, 'b'), change(3, 'x')];
const other: Feed = [change(1, 'k'), change(2, 'l'), change(3, 'm')];
/** Followed to the end of a feed. */
const at = (feed: Feed): FeedState => {
  const prints = feed.map(({ Seq, ID, Date }) => ({ seq: Seq, id: ID, date: Date }));
  return { epoch: 1, seq: feed.length, fingerprint: prints.at(-1), anchors: prints.slice(0, -1), since: '' };
};

function clientOf(feed: Feed): OrthancClient {
  return {
    changes: async ({ since }: { since: number }) => ({ Changes: feed.slice(since, since + 1), Done: true, Last: 0 }),
    lastChange: async () => feed.at(-1),
    close: async () => {},
  } as unknown as OrthancClient;
}

/** Result for `source`, one of the two sources `first` and `second`; an undefined feed is that of an unavailable source. */
function find(
  source: 'first' | 'second',
  feeds: { readonly first: Feed | undefined; readonly second: Feed | undefined },
  followed: { readonly first?: FeedState; readonly second?: FeedState } = {},
): Promise<string | undefined> {
  const config = (name: string) => sourceConfig.parse({ url: `http://${name}.example` });
  const shared = new SharedDatabase({
    source,
    sources: () => ({ first: config('first'), second: config('second') }),
    feed: async (name) => followed[name as 'first' | 'second'],
    async open({ url }) {
      const feed = feeds[url.includes('first') ? 'first' : 'second'];
      if (!feed) throw new Error('connection refused');
      return clientOf(feed);
    },
  });
  return shared.find(clientOf(feeds[source] ?? []), signal);
}

it('of two on one database follows the one that is named first, when both are new or both were followed', async () => {
  const feeds = { first: one, second: one };
  expect(await find('first', feeds)).toBeUndefined();
  expect(await find('second', feeds)).toBe('first');
  const both = { first: at(one), second: at(one) };
  expect(await find('first', feeds, both)).toBeUndefined();
  expect(await find('second', feeds, both)).toBe('first');
});

it('keeps the one that was followed while the first did not respond: its studies are not sent again', async () => {
  expect(await find('second', { first: undefined, second: one })).toBeUndefined();
  const feeds = { first: one, second: one };
  expect(await find('first', feeds, { second: at(one) })).toBe('second');
  expect(await find('second', feeds, { second: at(one) })).toBeUndefined();
});

it('recognises one that does not respond by its previously seen feed', async () => {
  const away = { first: undefined, second: one };
  expect(await find('second', away, { first: at(one) })).toBe('first');
  expect(await find('second', away, { first: at(one.slice(0, 2)) })).toBe('first');
  expect(await find('second', away, { first: at(one), second: at(one) })).toBe('first');
  expect(await find('second', away, { first: at(other) })).toBeUndefined();
});

it('treats neither a copy that has continued nor another database as the same', async () => {
  for (const second of [copy, other]) {
    expect(await find('second', { first: one, second })).toBeUndefined();
    expect(await find('second', { first: undefined, second }, { first: at(one) })).toBeUndefined();
    expect(await find('first', { first: one, second }, { second: at(second) })).toBeUndefined();
  }
});

/** A `SharedDatabase` of one of the two sources; the feeds behind them, and what was followed, may change. */
function sharedOf(
  source: 'first' | 'second',
  world: { feeds: Record<'first' | 'second', Feed>; followed: Partial<Record<'first' | 'second', FeedState>> },
) {
  const config = (name: string) => sourceConfig.parse({ url: `http://${name}.example` });
  const clientNow = (name: 'first' | 'second'): OrthancClient =>
    ({
      changes: async ({ since }: { since: number }) => ({
        Changes: world.feeds[name].slice(since, since + 1),
        Done: true,
        Last: 0,
      }),
      lastChange: async () => world.feeds[name].at(-1),
      close: async () => {},
    }) as unknown as OrthancClient;
  const shared = new SharedDatabase({
    source,
    sources: () => ({ first: config('first'), second: config('second') }),
    feed: async (name) => world.followed[name as 'first' | 'second'],
    open: async ({ url }) => clientNow(url.includes('first') ? 'first' : 'second'),
  });
  return { find: () => shared.find(clientNow(source), signal) };
}

it.each(['first', 'second'] as const)('compares again when %s gets the database of the other one', async (moved) => {
  const stays = moved === 'first' ? 'second' : 'first';
  const world = { feeds: { first: one, second: other }, followed: { first: at(one), second: at(other) } };
  const [{ find }, theOther] = [sharedOf(moved, world), sharedOf(stays, world)];
  expect([await find(), await theOther.find()]).toEqual([undefined, undefined]);
  world.feeds[moved] = world.feeds[stays];
  expect([await find(), await theOther.find()]).toEqual([stays, undefined]);
  // The same after its feed has begun a new epoch.
  world.followed[moved] = { epoch: 2, seq: 0, fingerprint: undefined, anchors: [], since: '' };
  expect([await find(), await theOther.find()]).toEqual([stays, undefined]);
  world.feeds[moved] = [change(1, 'z')];
  expect(await find()).toBeUndefined();
});

it('does not forget what it found when the changes are deleted', async () => {
  const world: Parameters<typeof sharedOf>[1] = { feeds: { first: one, second: one }, followed: { first: at(one) } };
  const { find } = sharedOf('second', world);
  expect(await find()).toBe('first');
  world.feeds = { first: [], second: [] };
  expect(await find()).toBe('first');
  world.feeds = { first: one, second: other };
  expect(await find()).toBeUndefined();
});
