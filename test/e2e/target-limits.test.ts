import { waitFor } from '@dicom-dispatch/harness';
import { readTarget, setTargetConcurrency, setTargetRate, type TargetState } from '@dicom-dispatch/operations';
import { openPipeline, type PipelineContext } from '@dicom-dispatch/pipeline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startInProcess, type InProcess } from './support/start-in-process.ts';
import { startSystem, type System } from './support/system.ts';

/** Limits set by an operator apply at once on every dispatcher, survive restarts, and end with a reload. */
let system: System;
let first: InProcess;
let second: InProcess;
let operations: PipelineContext;
let written: Record<string, unknown>;
const studies = 6;

beforeAll(async () => {
  system = await startSystem();
  const targets = {
    slow: { type: 'dummy', delay: '1h', concurrency: 1 },
    rare: { type: 'dummy', concurrency: 4, rateLimit: { deliveriesPerMinute: 1 } },
  };
  written = system.config(targets, { dispatcher: { concurrency: 2 } });
  first = await startInProcess({ config: written });
  second = await startInProcess({ config: written, services: ['dispatcher'] });
  operations = openPipeline(first.config, first.redis);
  for (let number = 0; number < studies; number += 1) await system.upload({ seed: `limits ${number}` });
});
afterAll(async () => {
  await operations.close();
  await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
  await system[Symbol.asyncDispose]();
});

async function until(target: string, holds: (state: TargetState) => boolean): Promise<TargetState> {
  let state: TargetState | undefined;
  return waitFor(
    async () => {
      state = await readTarget(operations, target);
      return holds(state) ? state : undefined;
    },
    { message: () => JSON.stringify(state) },
  );
}

const reload = async (one: InProcess): Promise<void> => {
  for (const service of one.services) await service.reload?.(one.config);
};

it('a higher concurrency applies immediately, over both dispatchers', async () => {
  await until('slow', ({ counts }) => counts.waiting + counts.active === studies && counts.active === 1);
  await setTargetConcurrency(operations, 'slow', 3);
  const { concurrency, setLimits } = await until('slow', ({ counts }) => counts.active === 3);
  expect({ concurrency, setLimits }).toEqual({ concurrency: 3, setLimits: { concurrency: 3 } });
  const { records } = await system.records.deliveries({ state: 'active', limit: 10 });
  // One dispatcher runs two at most.
  expect(new Set(records.map(({ worker }) => worker)).size).toBe(2);
});

it('a removed rate limit applies immediately', async () => {
  await until('rare', ({ counts }) => counts.waiting + counts.delivered === studies && counts.delivered === 1);
  await setTargetRate(operations, 'rare', undefined);
  const { deliveriesPerMinute, setLimits } = await until('rare', ({ counts }) => counts.delivered === studies);
  expect({ deliveriesPerMinute, setLimits }).toEqual({
    deliveriesPerMinute: undefined,
    setLimits: { deliveriesPerMinute: null },
  });
});

it('both outlast a start, and end with a reload that changes nothing', async () => {
  await using third = await startInProcess({ config: written, services: ['dispatcher'] });
  expect(await readTarget(operations, 'slow')).toMatchObject({ concurrency: 3 });
  expect(await readTarget(operations, 'rare')).toMatchObject({ setLimits: { deliveriesPerMinute: null } });
  for (const service of third.services) await service.reread?.();
  expect(await readTarget(operations, 'slow')).toMatchObject({ concurrency: 1, setLimits: {} });
  expect(await readTarget(operations, 'rare')).toMatchObject({ deliveriesPerMinute: 1, setLimits: {} });
});

it('they end with a reload, and with a start by a configuration that has other limits', async () => {
  await setTargetRate(operations, 'rare', 7);
  await setTargetConcurrency(operations, 'slow', 5);
  await reload(second);
  expect(await readTarget(operations, 'rare')).toMatchObject({ deliveriesPerMinute: 1, setLimits: {} });
  expect(await readTarget(operations, 'slow')).toMatchObject({ concurrency: 1, setLimits: {} });
  await setTargetConcurrency(operations, 'slow', 5);
  await setTargetConcurrency(operations, 'rare', 5);
  const { slow, ...others } = written['targets'] as Record<string, object>;
  await using changed = await startInProcess({
    config: { ...written, targets: { ...others, slow: { ...slow, concurrency: 2 } } },
    services: ['dispatcher'],
  });
  expect(changed.config.targets['slow']?.concurrency).toBe(2);
  expect(await readTarget(operations, 'slow')).toMatchObject({ concurrency: 2, setLimits: {} });
  expect(await readTarget(operations, 'rare')).toMatchObject({ concurrency: 5 });
});
