import { DispatchError, type ManifestInstance } from '@dicom-dispatch/core';
import type { RunState } from '@dicom-dispatch/target-kit';
import { expect, it } from 'vitest';
import { SourceSuspects } from './source-suspects.ts';

const instance = (sourceId: string): ManifestInstance => ({ sourceId, sopInstanceUid: sourceId }) as ManifestInstance;
const wrong = (): DispatchError => new DispatchError('source-bytes-wrong', 'expected 9 bytes, got 3 bytes');

function memory(): RunState {
  const values = new Map<string, unknown>();
  return {
    get: async <T>(key: string) => values.get(key) as T | undefined,
    set: async (key, value) => void values.set(key, structuredClone(value)),
    delete: async (key) => void values.delete(key),
  };
}

async function attempt(state: RunState, attempts: number, isWell = true): Promise<SourceSuspects> {
  const suspects = new SourceSuspects(state, async () => isWell, attempts);
  await suspects.load();
  return suspects;
}

it('an instance that fails in each attempt is quarantined at the fifth, however often it fails in one', async () => {
  const state = memory();
  for (let count = 1; count < 5; count += 1) {
    const suspects = await attempt(state, 8);
    for (let again = 0; again < 3; again += 1) {
      expect(await suspects.judge(instance('a'), wrong(), 'none')).toMatchObject({ disposition: 'retry' });
    }
  }
  const last = await attempt(state, 8);
  expect(last.has(instance('a'))).toBe(true);
  expect(last.last([instance('a'), instance('b')]).map(({ sourceId }) => sourceId)).toEqual(['b', 'a']);
  expect(await last.judge(instance('b'), wrong(), 'none')).toMatchObject({ disposition: 'retry' });
  expect(await last.judge(instance('a'), wrong(), 'none')).toMatchObject({
    code: 'source-bytes-wrong',
    disposition: 'permanent',
    message: 'expected 9 bytes, got 3 bytes (5 times, while the source answers other requests)',
  });
  // If a change was requested, it is one that the source cannot make.
  const next = await attempt(state, 8);
  expect(await next.judge(instance('a'), wrong(), 'transcode')).toMatchObject({ code: 'instance-unsupported' });
});

it('at the last attempt, if there are fewer; never at the only one, nor while the source is unavailable', async () => {
  const few = memory();
  expect(await (await attempt(few, 2)).judge(instance('a'), wrong(), 'none')).toMatchObject({ disposition: 'retry' });
  const unwell = await attempt(few, 2, false);
  expect(await unwell.judge(instance('a'), wrong(), 'none')).toMatchObject({ disposition: 'retry' });
  expect(await (await attempt(few, 2)).judge(instance('a'), wrong(), 'none')).toMatchObject({
    disposition: 'permanent',
  });
  expect(await (await attempt(memory(), 1)).judge(instance('a'), wrong(), 'none')).toMatchObject({
    disposition: 'retry',
  });
});

it('an error that does not concern one instance is unchanged', async () => {
  const suspects = await attempt(memory(), 2);
  for (const error of [new DispatchError('source-unreachable', 'x'), new DispatchError('instance-unsupported', 'x')]) {
    expect(await suspects.judge(instance('a'), error, 'none')).toBe(error);
  }
  expect(suspects.has(instance('a'))).toBe(false);
});
