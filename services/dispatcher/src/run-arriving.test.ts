import { unreadTags, type ManifestInstance, type TargetConfig } from '@dicom-dispatch/core';
import type { ArrivalMessage } from '@dicom-dispatch/pipeline';
import {
  compareWithLedger,
  versionHash,
  type Confirmation,
  type InstanceVersion,
  type LedgerEntry,
} from '@dicom-dispatch/state/ledger';
import type { DeliveryRun } from '@dicom-dispatch/target-kit';
import { expect, it, vi } from 'vitest';
import { DeliveryProgressTracker } from './delivery-progress.ts';
import { runArriving, type ArrivingDependencies } from './run-arriving.ts';

/** @param name - UID, or UID@VERSION */
function instance(name: string): ManifestInstance {
  const [uid = '', version = 'v'] = name.split('@');
  return { sopInstanceUid: uid, seriesInstanceUid: 's', sourceId: uid, version, sizeBytes: 1 } as ManifestInstance;
}

/**
 * One attempt in memory, for a target that selects by a tag of the instances.
 *
 * @param parts - instances that arrive one after another; the first are there when it begins
 * @param unread - whose tags the source cannot read
 * @param waiting - replaces the messages about the later parts
 * @param look - is called with the run of each part
 */
async function sendParts(
  parts: readonly (readonly string[])[],
  unread: readonly string[],
  waiting?: Pick<ArrivingDependencies, 'inbox' | 'doOthersWait'>,
  look: (run: DeliveryRun<TargetConfig>) => Promise<void> = async () => {},
) {
  const entries = new Map<string, LedgerEntry>();
  const sent: string[] = [];
  const calls: string[] = [];
  const counted: string[] = [];
  const write = (state: LedgerEntry['state']) => (one: Confirmation) => {
    const { sopInstanceUid: name, version, seriesInstanceUid } = one;
    entries.set(name, { state, versionHash: versionHash(version, seriesInstanceUid), at: 1 } as LedgerEntry);
  };
  const progress = new DeliveryProgressTracker(
    {
      update: async () => {},
      entered() {},
      left() {},
      quarantined: (uid) => void counted.push(uid),
      throttle: () => undefined,
    },
    1,
  );
  const [first = [], ...later] = parts;
  const messages: ArrivalMessage[][] = later.map((names) => [
    { source: 'main', orthancStudyId: 'o', from: 'arrival', instances: names.map(instance) } as ArrivalMessage,
  ]);
  messages.push([{ source: 'main', orthancStudyId: 'o', from: 'stable' } as ArrivalMessage]);
  const dependencies = {
    data: {
      source: 'main',
      orthancStudyId: 'o',
      studyInstanceUid: '1',
      target: 'pacs',
      deliveryId: 'd',
      arriving: 'arrival',
    },
    ledgerName: 'pacs',
    attempt: 1,
    now: () => 1,
    source: {
      readStudy: async () => ({ tags: { studyInstanceUid: '1', study: {}, series: new Map([['s', {}]]) } }),
      readArrived: async () => ({ instances: first.map(instance), isAll: true }),
      readInstanceTags: async (_wanted: unknown, some: readonly ManifestInstance[]) =>
        new Map(some.map(({ sourceId }) => [sourceId, unread.includes(sourceId) ? unreadTags : { ImageType: 'x' }])),
      transform: () => undefined,
    },
    ledger: {
      entries: async () => new Map(entries),
      compare: async (_key: unknown, some: readonly InstanceVersion[]) => compareWithLedger(entries, some),
      async confirm(_key: unknown, some: readonly Confirmation[]) {
        some.forEach(write('delivered'));
      },
      async quarantine(_key: unknown, one: Confirmation) {
        calls.push('quarantine');
        write('quarantined')(one);
      },
    },
    restoreLedger: async () => void calls.push('restore'),
    resolve: async () => ({
      config: { type: 'dicom', attempts: 5, instances: { only: 'instance.ImageType == "x"' } },
      handler: {
        sendsParts: true,
        async deliver(run: DeliveryRun<TargetConfig>) {
          await look(run);
          for (const one of run.pending) {
            sent.push(one.sopInstanceUid);
            await run.report(one, { kind: 'delivered' });
          }
        },
      },
    }),
    takenUids: async () => new Map(),
    isSharedPlace: async () => true,
    listings: () => ({ sending() {} }),
    receipts: { delivered: () => undefined, dropped() {} },
    state: { get: async () => undefined },
    log: { info() {}, warn() {} },
    progress,
    answered() {},
    signal: new AbortController().signal,
    inbox: { take: () => messages.shift() ?? [], wait: async () => {} },
    doOthersWait: async () => false,
    ...waiting,
  } as unknown as ArrivingDependencies;
  const { kind } = await runArriving(dependencies);
  await progress.end();
  const states = Object.fromEntries(Array.from(entries, ([name, { state }]) => [name, state]));
  return { kind, sent, calls, counted, states, counts: progress.counts };
}

it('quarantines an instance of a later part whose tags cannot be read, instead of sending it', async () => {
  expect(await sendParts([['1'], ['2', '3'], ['4']], ['2'])).toEqual({
    kind: 'whole',
    sent: ['1', '3', '4'],
    calls: ['restore', 'quarantine'],
    counted: ['2'],
    states: { 1: 'delivered', 2: 'quarantined', 3: 'delivered', 4: 'delivered' },
    counts: { total: 4, confirmed: 3, quarantined: 1 },
  });
});

it('shows each part with the instances that the target has confirmed, without quarantined ones', async () => {
  const manifests: string[][] = [];
  await sendParts([['1', '2'], ['3'], ['1@w', '4']], ['2'], undefined, async ({ manifest }) => {
    manifests.push(manifest.map(({ sopInstanceUid, version }) => `${sopInstanceUid} ${version}`));
  });
  expect(manifests).toEqual([['1 v'], ['1 v', '3 v'], ['3 v', '1 w', '4 v']]);
});

it('recognises an older version that it has sent itself', async () => {
  const olders: boolean[] = [];
  const { sent } = await sendParts([['1'], ['1@w']], [], undefined, async (run) => {
    for (const one of run.pending) olders.push((await run.canBeOlder?.(one)) === true);
  });
  expect(sent).toEqual(['1', '1']);
  expect(olders).toEqual([false, true]);
});

it('restores a lost ledger before it quarantines', async () => {
  const { sent, calls, counts } = await sendParts([['1', '2']], ['2']);
  expect(sent).toEqual(['1']);
  expect(calls).toEqual(['restore', 'quarantine']);
  expect(counts).toEqual({ total: 2, confirmed: 1, quarantined: 1 });
});

/** An attempt for which nothing arrives. @returns how it ended, after how much waiting, and when it looked for other deliveries */
async function waitInVain(othersFromMs: number) {
  let now = 1_000;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
  const looks: number[] = [];
  const waiting = {
    inbox: {
      take: () => [],
      wait: async (ms: number) => void (now += ms),
    } as unknown as ArrivingDependencies['inbox'],
    doOthersWait: async () => (looks.push(now - 1_000), now - 1_000 >= othersFromMs),
  };
  try {
    const { kind, sent } = await sendParts([['1']], [], waiting);
    return { kind, sent, waitedMs: now - 1_000, looks };
  } finally {
    clock.mockRestore();
  }
}

it('ends after 5 s without new instances, longer than any interval of announcements', async () => {
  expect(await waitInVain(Infinity)).toEqual({ kind: 'quiet', sent: ['1'], waitedMs: 5_000, looks: [2_000, 4_000] });
});

it('ends within 2 s if other deliveries wait for the target', async () => {
  expect(await waitInVain(0)).toEqual({ kind: 'quiet', sent: ['1'], waitedMs: 2_000, looks: [2_000] });
});
