import { DispatchError } from '@dicom-dispatch/core';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { InstanceBytes, InstanceOutcome, ManifestInstance } from '../contract/index.ts';
import { inLanes } from './in-lanes.ts';

function instances(count: number): ManifestInstance[] {
  return Array.from({ length: count }, (_, index) => ({
    sopInstanceUid: `1.2.${index}`,
    seriesInstanceUid: '1.3',
    studyInstanceUid: '1.4',
    sopClassUid: undefined,
    transferSyntaxUid: undefined,
    instanceNumber: index,
    sizeBytes: 4,
    sourceId: `${index}`,
    version: '1',
  }));
}

/** A run that counts open instances at the source. */
function countingRun(count: number, open?: (instance: ManifestInstance) => AsyncIterable<Uint8Array>) {
  const controller = new AbortController();
  const reported = new Map<string, InstanceOutcome>();
  const run = {
    pending: instances(count),
    signal: controller.signal,
    log: { info() {}, warn() {} },
    opened: 0,
    openNow: 0,
    maxOpen: 0,
    sentBytes: 0,
    async open(instance: ManifestInstance): Promise<InstanceBytes> {
      run.opened += 1;
      run.openNow += 1;
      run.maxOpen = Math.max(run.maxOpen, run.openNow);
      const source = open?.(instance) ?? [new Uint8Array(4)];
      const body = Object.assign(
        (async function* () {
          yield* source;
        })(),
        { destroy: () => void (run.openNow -= 1) },
      );
      return { sizeBytes: 4, body };
    },
    sent(bytes: number) {
      run.sentBytes += bytes;
    },
    async report(instance: ManifestInstance, outcome: InstanceOutcome) {
      reported.set(instance.sopInstanceUid, outcome);
    },
  };
  return { run, reported, controller };
}

async function drain(bytes: InstanceBytes): Promise<InstanceOutcome> {
  for await (const chunk of bytes.body) void chunk;
  return { kind: 'delivered' };
}

describe('inLanes', () => {
  it('sends every instance once, never opens more than lanes and prefetch allow, and releases all', async () => {
    const { run, reported } = countingRun(40);
    let atOnce = 0;
    let maxAtOnce = 0;
    await inLanes(run, { lanes: 3, prefetch: 2 }, async ({ bytes }) => {
      atOnce += 1;
      maxAtOnce = Math.max(maxAtOnce, atOnce);
      await new Promise(setImmediate);
      const outcome = await drain(bytes);
      atOnce -= 1;
      return outcome;
    });
    expect([...reported.values()].every(({ kind }) => kind === 'delivered')).toBe(true);
    expect(reported.size).toBe(40);
    expect(maxAtOnce).toBe(3);
    expect(run.maxOpen).toBeLessThanOrEqual(5);
    expect(run.openNow).toBe(0);
    expect(run.sentBytes).toBe(160);
  });

  it('quarantines instances that will never arrive, and continues', async () => {
    const { run, reported } = countingRun(5);
    const { quarantined } = await inLanes(run, { lanes: 2 }, async ({ instance, bytes }) => {
      if (instance.instanceNumber === 1) throw new DispatchError('instance-refused', 'status C000');
      if (instance.instanceNumber === 3) throw new DispatchError('source-instance-gone', 'gone');
      return drain(bytes);
    });
    expect(run.pending.map(({ sopInstanceUid }) => reported.get(sopInstanceUid)?.kind)).toEqual([
      'delivered',
      'quarantined',
      'delivered',
      'quarantined',
      'delivered',
    ]);
    expect(quarantined.map(({ instanceNumber }) => instanceNumber).sort()).toEqual([1, 3]);
    expect(run.openNow).toBe(0);
  });

  it('quarantines an instance that the source cannot open', async () => {
    const { run, reported } = countingRun(3);
    const open = run.open.bind(run);
    run.open = async (instance) => {
      if (instance.instanceNumber === 1) throw new DispatchError('source-instance-gone', 'HTTP 404');
      return open(instance);
    };
    await inLanes(run, { lanes: 1, prefetch: 2 }, ({ bytes }) => drain(bytes));
    expect(reported.get('1.2.1')).toMatchObject({ kind: 'quarantined', error: { code: 'source-instance-gone' } });
    expect(reported.size).toBe(3);
  });

  it('puts off what failed for now: the rest is sent, then the attempt fails', async () => {
    const { run, reported } = countingRun(5);
    const sending = inLanes(run, { lanes: 1 }, async ({ instance, bytes }) => {
      if (instance.instanceNumber === 0) throw new DispatchError('instance-failed', 'status A700');
      return drain(bytes);
    });
    await expect(sending).rejects.toMatchObject({ code: 'instance-failed' });
    expect(reported.size).toBe(4);
  });

  it('ends when too many in a row failed for now', async () => {
    const { run } = countingRun(50);
    let tried = 0;
    const sending = inLanes(run, { lanes: 1, prefetch: 0, failuresInRow: 4 }, async () => {
      tried += 1;
      throw new DispatchError('instance-failed', 'status A700');
    });
    await expect(sending).rejects.toMatchObject({ code: 'instance-failed' });
    expect(tried).toBe(4);
  });

  it('stops all lanes at the first error of the target, and releases instances opened ahead', async () => {
    const { run, reported } = countingRun(50);
    const sending = inLanes(run, { lanes: 2, prefetch: 4 }, async ({ instance, bytes }, { signal }) => {
      if (instance.instanceNumber === 4) throw new DispatchError('target-full', 'no space');
      if (instance.instanceNumber === 5) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      }
      return drain(bytes);
    });
    await expect(sending).rejects.toMatchObject({ code: 'target-full' });
    expect(reported.size).toBe(4);
    await vi.waitFor(() => expect(run.openNow).toBe(0), { timeout: 60_000 });
  });

  it('reports the source when its stream fails, whatever the handler throws', async () => {
    const { run } = countingRun(1, async function* () {
      yield new Uint8Array(2);
      throw new DispatchError('source-error', 'the source closed the connection');
    });
    const sending = inLanes(run, { lanes: 1 }, async ({ bytes }) => {
      try {
        return await drain(bytes);
      } catch (cause) {
        throw new DispatchError('target-error', 'upload failed', { cause });
      }
    });
    await expect(sending).rejects.toMatchObject({ code: 'source-error' });
  });

  it('stops when the ledger does not take a confirmation', async () => {
    const { run } = countingRun(9);
    run.report = async () => {
      throw new DispatchError('lock-lost', 'another worker has it');
    };
    await expect(inLanes(run, { lanes: 2 }, ({ bytes }) => drain(bytes))).rejects.toMatchObject({ code: 'lock-lost' });
    expect(run.opened).toBeLessThan(9);
  });

  it('settles when cancelled while the source hangs', async () => {
    const { run, controller } = countingRun(3, async function* () {
      yield new Uint8Array(2);
      controller.abort();
      await new Promise(() => {});
    });
    await expect(inLanes(run, { lanes: 2 }, ({ bytes }) => drain(bytes))).rejects.toMatchObject({ code: 'cancelled' });
    await vi.waitFor(() => expect(run.openNow).toBe(0), { timeout: 60_000 });
  });

  it('settles when cancelled while the source does not open', async () => {
    const { run, controller } = countingRun(3);
    run.open = () => {
      controller.abort(new DispatchError('lock-lost', 'another worker has it'));
      return new Promise(() => {});
    };
    await expect(inLanes(run, { lanes: 2 }, ({ bytes }) => drain(bytes))).rejects.toMatchObject({ code: 'lock-lost' });
  });

  it('reports what the lanes of a small part have sent together, and waits for no lane that hangs', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { run, reported } = countingRun(4);
    const sent: string[] = [];
    let sentBefore = 0;
    let reportedMeanwhile = 0;
    const report = run.report.bind(run);
    run.report = async (instance, outcome) => {
      sentBefore ||= sent.length;
      await report(instance, outcome);
    };
    await inLanes({ ...run, isPart: true }, { lanes: 2 }, async ({ instance, bytes }) => {
      if (instance.instanceNumber === 1) for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
      // The third one hangs until the others are in the ledger: the lane of the fourth one stops waiting for it.
      if (instance.instanceNumber === 2) {
        for (let turn = 0; turn < 100 && reported.size < 3; turn += 1) await vi.advanceTimersByTimeAsync(1_000);
        reportedMeanwhile = reported.size;
      }
      const outcome = await drain(bytes);
      sent.push(instance.sopInstanceUid);
      return outcome;
    });
    expect(sentBefore).toBe(2);
    expect(reportedMeanwhile).toBe(3);
    expect(reported.size).toBe(4);
  });

  it('reports the instances of a small part together, and never has more unreported ones than allowed', async () => {
    // At least as many as arrive between two announcements of a fast scanner.
    const { run } = countingRun(50);
    const batches: number[] = [];
    let [unreported, maxUnreported, running] = [0, 0, 0];
    run.report = async () => {
      if (running === 0) batches.push(0);
      batches.push((batches.pop() ?? 0) + 1);
      running += 1;
      await new Promise(setImmediate);
      running -= 1;
      unreported -= 1;
    };
    await inLanes({ ...run, isPart: true }, { lanes: 4 }, async ({ bytes }) => {
      unreported += 1;
      maxUnreported = Math.max(maxUnreported, unreported);
      return drain(bytes);
    });
    expect(batches).toEqual([...Array.from({ length: 12 }, () => 4), 2]);
    expect(maxUnreported).toBe(4);
    expect(unreported).toBe(0);
  });

  it('reports what was sent of a small part, also if the run is cancelled meanwhile', async () => {
    const { run, reported, controller } = countingRun(4);
    const sent = new Set<string>();
    const sending = inLanes({ ...run, isPart: true }, { lanes: 4 }, async ({ instance, bytes }) => {
      if (instance.instanceNumber === 3) {
        while (sent.size < 3) await new Promise(setImmediate);
        controller.abort();
      }
      const outcome = await drain(bytes);
      sent.add(instance.sourceId);
      return outcome;
    });
    await expect(sending).rejects.toMatchObject({ code: 'cancelled' });
    expect([...reported.keys()]).toEqual(['1.2.0', '1.2.1', '1.2.2']);
  });

  it('begins no transfer of a small part after the run is cancelled', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { run, controller } = countingRun(3);
    const begun: string[] = [];
    const sending = inLanes({ ...run, isPart: true }, { lanes: 2 }, async ({ instance, bytes }) => {
      begun.push(instance.sourceId);
      const outcome = await drain(bytes);
      // The other lane has sent its instance, and waits until it may send the third one.
      if (instance.instanceNumber === 1) {
        while (run.opened < 3) await new Promise(setImmediate);
        for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
        controller.abort();
      }
      return outcome;
    });
    await expect(sending).rejects.toMatchObject({ code: 'cancelled' });
    expect(begun).toEqual(['0', '1']);
    expect(run.openNow).toBe(0);
  });

  it('stops a small part when the ledger does not take a confirmation', async () => {
    const { run } = countingRun(9);
    run.report = async () => {
      throw new DispatchError('lock-lost', 'another worker has it');
    };
    const sending = inLanes({ ...run, isPart: true }, { lanes: 2 }, ({ bytes }) => drain(bytes));
    await expect(sending).rejects.toMatchObject({ code: 'lock-lost' });
    expect(run.opened).toBeLessThan(9);
  });

  it('has nothing to do without instances', async () => {
    const { run } = countingRun(0);
    await expect(inLanes(run, { lanes: 4 }, ({ bytes }) => drain(bytes))).resolves.toEqual({ quarantined: [] });
  });
});
