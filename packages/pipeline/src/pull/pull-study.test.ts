import { DispatchError, type TargetConfig } from '@dicom-dispatch/core';
import type { Puller, RetrieveRequest } from '@dicom-dispatch/target-kit';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { OperationError } from '../operation-error.ts';
import { openPullTargets, type PullTargets } from '../testing/pull-target.ts';
import type { PullDestination } from './pull-destination.ts';
import { pullStudy, type StudyToPull } from './pull-study.ts';

let targets: PullTargets;
beforeAll(async () => {
  targets = await openPullTargets();
});
afterAll(() => targets[Symbol.asyncDispose]());

const { signal } = new AbortController();
const whole = { completed: 1, failed: 0, remaining: 0 };

function pull(retrieve: Puller<TargetConfig>['retrieve'], more: Partial<StudyToPull> = {}) {
  const config = targets.with({ pacs: { retrieve } });
  const destination: PullDestination = { has: () => false, store: async () => {}, close: async () => {} };
  return pullStudy({ config: () => config }, { target: 'pacs', studyInstanceUid: '1.2', destination, signal, ...more });
}

describe('a study is retrieved', () => {
  it.each([[undefined], [['1.2.1', '1.2.2']]])('with the series %j', async (seriesInstanceUids) => {
    const asked: unknown[] = [];
    await pull(
      async ({ studyInstanceUid, seriesInstanceUids: series, ...rest }, context) => {
        asked.push(studyInstanceUid, series, Object.keys(rest).includes('seriesInstanceUids'));
        asked.push(context.targetName, context.config.type.startsWith('package:'), context.signal);
        return whole;
      },
      { seriesInstanceUids },
    );
    expect(asked).toEqual(['1.2', seriesInstanceUids, false, 'pacs', true, signal]);
  });

  it('into the destination: it decides what it has and can keep, and gets each instance with its series', async () => {
    const instance = { sizeBytes: 1, body: (async function* () {})() };
    const destination = {
      has: vi.fn((uid: string) => uid === '1'),
      canKeep: vi.fn((uid: string) => uid === '2'),
      store: vi.fn(async () => {}),
      close: vi.fn(async () => {}),
    };
    const progress = vi.fn();
    const now = { completed: 1, failed: 0, remaining: 3 };
    await pull(
      async (request) => {
        expect([await request.has('1', 's'), await request.has('2', 's')]).toEqual([true, false]);
        expect([request.canKeep?.('1'), request.canKeep?.('2')]).toEqual([false, true]);
        await request.store('2', instance, 's');
        request.progress(now);
        return whole;
      },
      { destination, progress },
    );
    expect(destination.has.mock.calls).toEqual([
      ['1', 's'],
      ['2', 's'],
    ]);
    expect(destination.store.mock.calls).toEqual([['2', instance, 's']]);
    expect(progress.mock.calls).toEqual([[now]]);
    // The caller opened it.
    expect(destination.close).not.toHaveBeenCalled();
  });

  it('with all instances if the destination has no conditions, and without a listener for its progress', async () => {
    const asked: RetrieveRequest[] = [];
    await pull(async (request) => {
      asked.push(request);
      request.progress(whole);
      return whole;
    });
    expect(asked[0]?.canKeep?.('1')).toBe(true);
  });

  it.each([whole, { completed: 0, failed: 2, remaining: 0, problems: [{ reason: 'refused' }] }])(
    'with the result of the target: %j',
    async (result) => {
      expect(await pull(async () => result)).toBe(result);
    },
  );
});

describe('a pull fails', () => {
  const failing = (error: unknown) =>
    pull(async () => {
      throw error;
    });

  it.each([
    ['gone', 'not-found', 'there is no target "gone"'],
    ['files', 'invalid', 'a target of type folder cannot be searched: "files"'],
  ])('from the target %s', async (target, code, message) => {
    await expect(pull(async () => whole, { target })).rejects.toMatchObject({ name: 'OperationError', code, message });
  });

  it('if the target has nothing of the study', async () => {
    const message = 'pacs has none of the requested instances of study 1.2';
    await expect(pull(async () => ({ completed: 0, failed: 0, remaining: 0 }))).rejects.toMatchObject({
      name: 'OperationError',
      code: 'not-found',
      message,
    });
  });

  it('with the error of the destination, also if the target has wrapped it', async () => {
    const full = new OperationError('conflict', 'the folder is full');
    await expect(failing(full)).rejects.toBe(full);
    await expect(failing(new DispatchError('target-error', 'aborted', { cause: full }))).rejects.toBe(full);
  });

  it('with the error of the target; an unknown one is not shown to users', async () => {
    const refused = new DispatchError('target-error', 'refused', { cause: new Error('socket') });
    await expect(failing(refused)).rejects.toBe(refused);
    await expect(failing(new TypeError('P^A is no name'))).rejects.toMatchObject({
      code: 'internal',
      message: 'unexpected TypeError',
    });
  });
});
