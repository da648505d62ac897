import type { Stage } from '@dicom-dispatch/core';
import { describe, expect, it } from 'vitest';
import { DeliveryProgressTracker } from './delivery-progress.ts';

describe('the stages of an attempt', () => {
  function tracked(): { tracker: DeliveryProgressTracker; left: [Stage, number][] } {
    const left: [Stage, number][] = [];
    const tracker = new DeliveryProgressTracker(
      {
        update: async () => {},
        entered: () => {},
        left: (stage, durationMs) => void left.push([stage, durationMs]),
        quarantined: () => {},
        throttle: () => undefined,
      },
      1,
    );
    return { tracker, left };
  }

  it('are reported once each with their duration, the last one at the end', async () => {
    const { tracker, left } = tracked();
    for (const stage of ['resolve', 'manifest', 'connect', 'transfer', 'transfer', 'verify'] as const) {
      tracker.enter(stage);
    }
    await tracker.end();
    await tracker.end();
    expect(left.map(([stage]) => stage)).toEqual(['resolve', 'manifest', 'connect', 'transfer', 'verify']);
    for (const [, durationMs] of left) expect(durationMs).toBeGreaterThanOrEqual(0);
    expect([...tracker.durationsMs]).toEqual(left);
  });

  it('are not reported for an attempt that never entered one', async () => {
    const { tracker, left } = tracked();
    await tracker.end();
    expect(left).toEqual([]);
  });
});
