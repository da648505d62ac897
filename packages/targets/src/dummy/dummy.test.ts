import { DispatchError } from '@dicom-dispatch/core';
import { describe, expect, it } from 'vitest';
import type { DeliveryRun, InstanceOutcome, ManifestInstance } from '@dicom-dispatch/target-kit';
import { memoryMailbox } from '@dicom-dispatch/target-kit/testing';
import { dummyHandler } from './handler.ts';
import { dummyTarget, type DummyTarget } from './schema.ts';

describe('the dummy target', () => {
  it('reads and confirms every instance', async () => {
    const { run, reported, counts } = runOf({}, 5);
    await dummyHandler.deliver(run);
    expect([...reported.values()].map(({ kind }) => kind)).toEqual(Array(5).fill('delivered'));
    expect(counts).toEqual({ opened: 5, bytes: 15, stages: ['connect', 'transfer', 'verify', 'finalize'] });
  });

  it.each([
    ['connect', 'target-unreachable', 0],
    ['transfer', 'target-error', 2],
    ['verify', 'verify-missing', 3],
    ['finalize', 'finalize-failed', 4],
  ] as const)('fails in %s with %s after %i confirmations', async (failStage, code, left) => {
    const { run, reported } = runOf({ failureRate: 1, failStage }, 4);
    const error = await dummyHandler.deliver(run).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DispatchError);
    expect(error).toMatchObject({ code, stage: failStage });
    expect(reported.size).toBe(left);
  });

  it('fails the configured share of attempts, the same ones each time', async () => {
    const outcomes = async () => {
      const failed: number[] = [];
      for (let attempt = 1; attempt <= 200; attempt += 1) {
        const { run } = runOf({ failureRate: 0.3, seed: 'a' }, 1, { attempt });
        await dummyHandler.deliver(run).catch(() => failed.push(attempt));
      }
      return failed;
    };
    const first = await outcomes();
    expect(first.length).toBeGreaterThan(35);
    expect(first.length).toBeLessThan(85);
    expect(await outcomes()).toEqual(first);
  });

  it('rejects instances, and uses another code', async () => {
    const { run, reported } = runOf({ quarantineRate: 1, failureRate: 1, failCode: 'target-full' }, 4);
    await expect(dummyHandler.deliver(run)).rejects.toMatchObject({ code: 'target-full', stage: 'transfer' });
    expect([...reported.values()].map(({ kind }) => kind)).toEqual(['quarantined', 'quarantined']);
  });

  it('stops when cancelled, in a delay of an hour', async () => {
    const stop = new AbortController();
    const { run } = runOf({ delay: '1h' }, 1, { signal: stop.signal });
    const delivered = dummyHandler.deliver(run);
    stop.abort();
    await expect(delivered).rejects.toMatchObject({ code: 'cancelled' });
  });

  it.each(['connect', 'transfer', 'verify', 'finalize'] as const)('tests with the check %s failing', async (name) => {
    const config = dummyTarget.parse({ type: 'dummy', failureRate: 1, failStage: name });
    const checks = await Array.fromAsync(
      dummyHandler.testConnection({ config, targetName: 'try', signal: new AbortController().signal }),
    );
    const failed = checks.filter(({ result }) => result === 'failed');
    expect(failed).toMatchObject([{ name, remedy: expect.stringContaining('failureRate') }]);
    const after = checks.slice(checks.findIndex((check) => check.name === name) + 1);
    expect(after.every(({ result }) => result === 'skipped')).toBe(true);
  });

  it('rejects unknown options', () => {
    expect(dummyTarget.safeParse({ type: 'dummy', failCode: 'nonsense' }).success).toBe(false);
    expect(dummyTarget.safeParse({ type: 'dummy', failureRate: 2 }).success).toBe(false);
    expect(dummyTarget.safeParse({ type: 'dummy', delays: '1s' }).success).toBe(false);
  });
});

function runOf(options: object, count: number, more: Partial<DeliveryRun<DummyTarget>> = {}) {
  const reported = new Map<string, InstanceOutcome>();
  const counts = { opened: 0, bytes: 0, stages: [] as string[] };
  const manifest = Array.from({ length: count }, (_, index): ManifestInstance => {
    const uid = `1.2.3.${index + 1}`;
    return {
      sopInstanceUid: uid,
      seriesInstanceUid: '1.2.3',
      studyInstanceUid: '1.2',
      sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
      transferSyntaxUid: '1.2.840.10008.1.2.1',
      instanceNumber: index + 1,
      sizeBytes: 3,
      sourceId: uid,
      version: '1',
    };
  });
  const run: DeliveryRun<DummyTarget> = {
    config: dummyTarget.parse({ type: 'dummy', ...options }),
    targetName: 'try',
    deliveryId: 'delivery',
    attempt: 1,
    priority: 'normal',
    study: { studyInstanceUid: '1.2', study: {}, series: new Map() },
    manifest,
    pending: manifest,
    open: async () => {
      counts.opened += 1;
      return {
        sizeBytes: 3,
        body: (async function* () {
          yield new Uint8Array(3);
        })(),
      };
    },
    stage: (stage) => void counts.stages.push(stage),
    report: async (instance, outcome) => void reported.set(instance.sopInstanceUid, outcome),
    revoke: async (instance) => void reported.delete(instance.sopInstanceUid),
    sent: (bytes) => void (counts.bytes += bytes),
    state: { get: async () => undefined, set: async () => {}, delete: async () => {} },
    memory: { get: async () => undefined, set: async () => {}, delete: async () => {} },
    mailbox: memoryMailbox(),
    log: { info: () => {}, warn: () => {} },
    signal: new AbortController().signal,
    ...more,
  };
  return { run, reported, counts };
}
