import { sourceConfig } from '@dicom-dispatch/core';
import type { Change, OrthancClient } from '@dicom-dispatch/orthanc';
import { createLogger } from '@dicom-dispatch/runtime';
import type { FeedState } from '@dicom-dispatch/state/feed';
import { expect, it } from 'vitest';
import type { FeedStore } from './feed-store.ts';
import { followFeed, pauseMs } from './follow-feed.ts';
import type { Lease } from './lease.ts';

function changeOf(index: number): Change {
  return { Seq: index + 1, ChangeType: 'StableStudy', ID: `study-${index}`, Date: '20261129T120000' } as Change;
}

/** An Orthanc whose feed has this number of changes, each of a separate study. */
function feedOf(count: number, changes = Array.from({ length: count }, (_, index) => changeOf(index))): OrthancClient {
  return {
    changes: async ({ since, limit }: { since: number; limit: number }) => {
      const page = changes.slice(since, since + limit);
      return { Changes: page, Done: since + limit >= changes.length, Last: page.at(-1)?.Seq ?? since };
    },
    lastChange: async () => changes.at(-1),
    now: async () => '20261129T120000',
  } as unknown as OrthancClient;
}

const noArrivals = { came() {}, isHolding: false, isPushed: false };

it('reports its lag while it catches up with a source for the first time', async () => {
  const stopping = new AbortController();
  const lags: number[] = [];
  const routed: string[] = [];
  let stored: FeedState | undefined;
  const following = followFeed({
    source: 'main',
    config: sourceConfig.parse({ url: 'http://127.0.0.1:8042', startFrom: 'everything' }),
    orthanc: feedOf(3_500),
    store: {
      read: async () => stored,
      write: async (state: FeedState) => {
        stored = state;
        return true;
      },
      keep: async () => 'kept',
    } as unknown as FeedStore,
    lease: { isHeld: true, token: 'token' } as Lease,
    sourceNow: async () => 0,
    sourceUnseenMs: () => 0,
    misdated: async () => {},
    beforeRouting: async () => {},
    arrivals: noArrivals,
    readTogether: async () => new Map(),
    route: async (id) => routed.push(id),
    onProgress(state, newestSeq, isEnd) {
      lags.push(newestSeq - state.seq);
      if (isEnd) stopping.abort();
    },
    anotherDatabase: () => {},
    log: createLogger('test', { level: 'error', format: 'json' }),
    signal: stopping.signal,
  });
  await expect(following).rejects.toThrow();
  expect(lags).toEqual([2_500, 1_500, 500, 0]);
  expect(new Set(routed).size).toBe(3_500);
});

it('routes studies that come while it catches up before those that were there', async () => {
  const stopping = new AbortController();
  const routed: string[] = [];
  const changes = Array.from({ length: 5_000 }, (_, index) => changeOf(index));
  const following = followFeed({
    source: 'main',
    config: sourceConfig.parse({ url: 'http://127.0.0.1:8042', startFrom: 'everything' }),
    orthanc: feedOf(0, changes),
    store: { read: async () => undefined, write: async () => true, keep: async () => 'kept' } as unknown as FeedStore,
    lease: { isHeld: true, token: 'token' } as Lease,
    sourceNow: async () => 0,
    sourceUnseenMs: () => 0,
    beforeRouting: async () => {},
    misdated: async () => {},
    arrivals: noArrivals,
    readTogether: async () => new Map(),
    route: async (id) => {
      // This study arrives while the second page is processed.
      if (id === 'study-1500') changes.push(changeOf(5_000));
      routed.push(id);
    },
    onProgress(state, newestSeq) {
      if (newestSeq === state.seq) stopping.abort();
    },
    anotherDatabase: () => {},
    log: createLogger('test', { level: 'error', format: 'json' }),
    signal: stopping.signal,
  });
  await expect(following).rejects.toThrow();
  expect(routed.indexOf('study-5000')).toBe(2_000);
  expect(new Set(routed).size).toBe(5_001);
});

it('routes studies that arrived after the start with "now", also those that a clock set back for a moment dates before it', async () => {
  const stopping = new AbortController();
  const routed: string[] = [];
  const state: FeedState = { epoch: 1, seq: 3, beganAt: 3, fingerprint: undefined, since: '20261129T120001' };
  const following = followFeed({
    source: 'main',
    config: sourceConfig.parse({ url: 'http://127.0.0.1:8042' }),
    orthanc: feedOf(5),
    store: { read: async () => state, write: async () => true, keep: async () => 'kept' } as unknown as FeedStore,
    lease: { isHeld: true, token: 'token' } as Lease,
    sourceNow: async () => Date.UTC(2026, 10, 29, 12, 0, 5),
    sourceUnseenMs: () => 0,
    misdated: async () => {},
    beforeRouting: async () => {},
    arrivals: noArrivals,
    readTogether: async () => new Map(),
    route: async (id) => routed.push(id),
    onProgress: () => stopping.abort(),
    anotherDatabase: () => {},
    log: createLogger('test', { level: 'error', format: 'json' }),
    signal: stopping.signal,
  });
  await expect(following).rejects.toThrow();
  expect(routed.sort()).toEqual(['study-3', 'study-4']);
});

it('does not treat existing studies as new that a clock which was ahead dates after the start', async () => {
  const stopping = new AbortController();
  const routed: string[] = [];
  const ahead = Array.from({ length: 5 }, (_, index) => ({ ...changeOf(index), Date: '20271129T120000' }));
  const following = followFeed({
    source: 'main',
    config: sourceConfig.parse({ url: 'http://127.0.0.1:8042' }),
    orthanc: feedOf(0, ahead),
    store: { read: async () => undefined, write: async () => true, keep: async () => 'kept' } as unknown as FeedStore,
    lease: { isHeld: true, token: 'token' } as Lease,
    sourceNow: async () => Date.UTC(2026, 10, 29, 12, 0, 0),
    sourceUnseenMs: () => 0,
    misdated: async () => {},
    beforeRouting: async () => {},
    arrivals: noArrivals,
    readTogether: async () => new Map(),
    route: async (id) => routed.push(id),
    onProgress({ seq }) {
      if (seq === 6) stopping.abort();
      else if (ahead.length === 5) ahead.push(changeOf(5));
    },
    anotherDatabase: () => {},
    log: createLogger('test', { level: 'error', format: 'json' }),
    signal: stopping.signal,
  });
  await expect(following).rejects.toThrow();
  expect(routed).toEqual(['study-5']);
});

it('records studies that arrived after the start with an earlier date from a wrong clock: they are not old', async () => {
  const stopping = new AbortController();
  const noted: number[] = [];
  const instances = Array.from({ length: 5 }, (_, at) => ({ ...changeOf(at), ChangeType: 'NewInstance' }) as Change);
  const state: FeedState = {
    epoch: 1,
    seq: 0,
    beganAt: 3,
    fingerprint: undefined,
    since: '',
    firstSeen: '20261129T130000',
  };
  const following = followFeed({
    source: 'main',
    config: sourceConfig.parse({ url: 'http://127.0.0.1:8042', startFrom: 'everything' }),
    orthanc: feedOf(5, instances),
    store: { read: async () => state, write: async () => true, keep: async () => 'kept' } as unknown as FeedStore,
    lease: { isHeld: true, token: 'token' } as Lease,
    sourceNow: async () => 0,
    sourceUnseenMs: () => 0,
    misdated: async (came) => void noted.push(...came.map(({ seq }) => seq)),
    beforeRouting: async () => {},
    arrivals: noArrivals,
    readTogether: async () => new Map(),
    route: async () => {},
    onProgress: () => stopping.abort(),
    anotherDatabase: () => {},
    log: createLogger('test', { level: 'error', format: 'json' }),
    signal: stopping.signal,
  });
  await expect(following).rejects.toThrow();
  expect(noted).toEqual([4, 5]);
});

it('treats no study of another database as old', async () => {
  const stopping = new AbortController();
  const written: FeedState[] = [];
  const fingerprint = { seq: 3, id: 'another', date: '20261101T120000' };
  const state: FeedState = { epoch: 1, seq: 3, beganAt: 3, fingerprint, since: '', firstSeen: '20261129T130000' };
  const following = followFeed({
    source: 'main',
    config: sourceConfig.parse({ url: 'http://127.0.0.1:8042', startFrom: 'everything' }),
    orthanc: feedOf(5),
    store: {
      read: async () => state,
      write: async (next: FeedState) => written.push(next),
      keep: async () => 'kept',
    } as unknown as FeedStore,
    lease: { isHeld: true, token: 'token' } as Lease,
    sourceNow: async () => 0,
    sourceUnseenMs: () => 0,
    misdated: async () => {},
    beforeRouting: async () => {},
    arrivals: noArrivals,
    readTogether: async () => new Map(),
    route: async () => {},
    onProgress: () => stopping.abort(),
    anotherDatabase: () => {},
    log: createLogger('test', { level: 'error', format: 'json' }),
    signal: stopping.signal,
  });
  await expect(following).rejects.toThrow();
  expect(written[0]).toMatchObject({ epoch: 2, seq: 0 });
  expect(written.some((one) => one.firstSeen !== undefined || one.beganAt !== undefined)).toBe(false);
});

it('reads a feed less often while instances are pushed, but at least every 5 s or as configured', () => {
  expect(pauseMs({ pollInterval: 1_000 }, false)).toBe(1_000);
  expect(pauseMs({ pollInterval: 200 }, true)).toBe(1_000);
  expect(pauseMs({ pollInterval: 2_000 }, true)).toBe(5_000);
  expect(pauseMs({ pollInterval: 60_000 }, true)).toBe(60_000);
});

it('reads the feed once more for instances that wait for further ones, before the next interval', async () => {
  const stopping = new AbortController();
  const came: (readonly string[])[] = [];
  const changes = [{ ...changeOf(0), ChangeType: 'NewInstance' } as Change];
  const routed: string[] = [];
  let position = 0;
  const following = followFeed({
    source: 'main',
    config: sourceConfig.parse({ url: 'http://127.0.0.1:8042', startFrom: 'everything', pollInterval: '1h' }),
    orthanc: feedOf(0, changes),
    store: {
      read: async () => undefined,
      write: async ({ seq }: FeedState) => ((position = seq), true),
      keep: async () => 'kept',
    } as unknown as FeedStore,
    lease: { isHeld: true, token: 'token' } as Lease,
    sourceNow: async () => 0,
    sourceUnseenMs: () => 0,
    misdated: async () => {},
    beforeRouting: async () => {},
    arrivals: {
      came({ instances }) {
        came.push(instances);
        if (came.length > 1) stopping.abort();
      },
      isHolding: true,
      isPushed: false,
    },
    readTogether: async () => new Map(),
    route: async (id) => routed.push(id),
    onProgress() {
      changes.push({ ...changeOf(1), ChangeType: 'NewInstance' } as Change, changeOf(2));
    },
    anotherDatabase: () => {},
    log: createLogger('test', { level: 'error', format: 'json' }),
    signal: stopping.signal,
  });
  await expect(following).rejects.toThrow();
  expect(came).toEqual([['study-0'], ['study-1']]);
  // Stable studies and the position are left to the next complete read.
  expect(routed).toEqual([]);
  expect(position).toBe(1);
});

it('reads studies of a page together, at most 32, and routes each of them once with what was read', async () => {
  const stopping = new AbortController();
  const read: (readonly string[])[] = [];
  const routed = new Map<string, unknown>();
  const following = followFeed({
    ...dependenciesOf(stopping, 100),
    readTogether: async (ids) => {
      read.push(ids);
      return new Map(ids.map((id) => [id, `of ${id}`])) as never;
    },
    route: async (id, _epoch, recent) => {
      expect(routed.has(id)).toBe(false);
      routed.set(id, recent);
    },
  });
  await expect(following).rejects.toThrow();
  expect(read.map(({ length }) => length)).toEqual([32, 32, 32, 4]);
  expect(routed.size).toBe(100);
  for (const [id, recent] of routed) expect(recent).toBe(`of ${id}`);
});

it('starts no further study after an error, and keeps its place in the feed before the page', async () => {
  const stopping = new AbortController();
  const started: string[] = [];
  const written: number[] = [];
  const failed = Promise.withResolvers<void>();
  let ended = 0;
  const following = followFeed({
    ...dependenciesOf(stopping, 100),
    store: {
      read: async () => undefined,
      write: async ({ seq }: FeedState) => written.push(seq),
      keep: async () => 'kept',
    } as unknown as FeedStore,
    route: async (id) => {
      started.push(id);
      if (id === 'study-3') {
        setImmediate(failed.resolve);
        throw new Error('of this study');
      }
      await failed.promise;
      ended += 1;
    },
  });
  await expect(following).rejects.toThrow('of this study');
  expect(started.length).toBeLessThanOrEqual(48);
  // It waits for those that had been started.
  expect(ended).toBe(started.length - 1);
  expect(new Set(written)).toEqual(new Set([0]));
});

function dependenciesOf(stopping: AbortController, count: number): Parameters<typeof followFeed>[0] {
  return {
    source: 'main',
    config: sourceConfig.parse({ url: 'http://127.0.0.1:8042', startFrom: 'everything' }),
    orthanc: feedOf(count),
    store: { read: async () => undefined, write: async () => true, keep: async () => 'kept' } as unknown as FeedStore,
    lease: { isHeld: true, token: 'token' } as Lease,
    sourceNow: async () => 0,
    sourceUnseenMs: () => 0,
    misdated: async () => {},
    beforeRouting: async () => {},
    arrivals: noArrivals,
    readTogether: async () => new Map(),
    route: async () => {},
    onProgress: () => stopping.abort(),
    anotherDatabase: () => {},
    log: createLogger('test', { level: 'error', format: 'json' }),
    signal: stopping.signal,
  };
}
