import { DispatchError } from '@dicom-dispatch/core';
import { describe, expect, it } from 'vitest';
import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import { Suspects } from './suspects.ts';

const full = () => new DispatchError('target-full', 'out of resources');
const lost = () => new DispatchError('target-connection-lost', 'closed');

/** Attempts of one delivery: each instance is sent in order, alone; `fault` returns its result. */
function delivery(names: string) {
  const manifest = [...names].map(
    (sopInstanceUid) => ({ sopInstanceUid, sourceId: sopInstanceUid }) as ManifestInstance,
  );
  const kept = new Map<string, unknown>();
  const ended = new Map<string, 'delivered' | 'quarantined'>();
  const state = {
    get: async <T>(key: string) => structuredClone(kept.get(key)) as T | undefined,
    set: async (key: string, value: unknown) => void kept.set(key, structuredClone(value)),
    delete: async (key: string) => void kept.delete(key),
  };
  async function attempt(fault: (name: string) => DispatchError | undefined): Promise<string | undefined> {
    const pending = manifest.filter(({ sopInstanceUid }) => !ended.has(sopInstanceUid));
    const suspects = await Suspects.load({ manifest, pending, state } as unknown as DeliveryRun<unknown>);
    const { others, suspects: suspected } = suspects.divide(pending);
    let putOff: unknown;
    for (const instance of [...others, ...suspected]) {
      const begun = suspects.begin();
      const error = fault(instance.sopInstanceUid);
      if (!error) {
        await suspects.passed(instance, begun);
        ended.set(instance.sopInstanceUid, 'delivered');
        continue;
      }
      const judged = (await suspects.judge(instance, error)) as DispatchError;
      if (judged.code === 'target-connection-lost') return judged.code;
      if (judged.code === 'instance-refused') ended.set(instance.sopInstanceUid, 'quarantined');
      else putOff ??= judged;
    }
    return putOff === undefined ? undefined : (suspects.verdict(putOff) as DispatchError).code;
  }
  const quarantined = (): string[] => [...ended].filter(([, kind]) => kind === 'quarantined').map(([name]) => name);
  return { attempt, ended, quarantined };
}

describe('a target that reports that it is out of resources', () => {
  it('is full while it accepts nothing, however often; no instance is quarantined', async () => {
    const { attempt, ended } = delivery('abc');
    for (const _ of [1, 2, 3, 4, 5]) expect(await attempt(full)).toBe('target-full');
    expect(ended.size).toBe(0);
    expect(await attempt(() => undefined)).toBeUndefined();
  });

  it('is full when that happens in the middle; what is left waits for it', async () => {
    const { attempt, ended, quarantined } = delivery('abcdef');
    let room = 2;
    const until = () => (--room < 0 ? full() : undefined);
    for (const _ of [1, 2, 3, 4, 5]) expect(await attempt(until)).toBe('target-full');
    expect([...ended.keys()]).toEqual(['a', 'b']);
    room = 1;
    expect(await attempt(until)).toBe('target-full');
    expect(quarantined()).toEqual([]);
    room = 9;
    expect(await attempt(until)).toBeUndefined();
    expect(ended.size).toBe(6);
  });

  it('only at some instances, while siblings pass: those are quarantined at the third failure', async () => {
    const { attempt, ended, quarantined } = delivery('abcdef');
    const bad = (name: string) => ('bd'.includes(name) ? full() : undefined);
    expect(await attempt(bad)).toBe('instance-failed');
    expect(await attempt(bad)).toBe('instance-failed');
    expect(quarantined()).toEqual([]);
    expect(await attempt(bad)).toBeUndefined();
    expect(quarantined()).toEqual(['b', 'd']);
    expect(ended.size).toBe(6);
  });

  it('at the last instance only: it is quarantined too', async () => {
    const { attempt, quarantined } = delivery('abc');
    const bad = (name: string) => (name === 'c' ? full() : undefined);
    await attempt(bad);
    await attempt(bad);
    expect(await attempt(bad)).toBeUndefined();
    expect(quarantined()).toEqual(['c']);
  });

  it('at the only instance of a study: it waits', async () => {
    const { attempt, quarantined } = delivery('a');
    for (const _ of [1, 2, 3, 4]) expect(await attempt(full)).toBe('target-full');
    expect(quarantined()).toEqual([]);
  });
});

it('an instance that brings the connection down is quarantined at the third time, when others have arrived', async () => {
  const { attempt, quarantined } = delivery('abcd');
  const bad = (name: string) => (name === 'b' ? lost() : undefined);
  expect(await attempt(bad)).toBe('target-connection-lost');
  expect(await attempt(bad)).toBe('target-connection-lost');
  expect(await attempt(bad)).toBeUndefined();
  expect(quarantined()).toEqual(['b']);
});

it('another error is passed on unchanged', async () => {
  const { attempt } = delivery('ab');
  expect(await attempt(() => new DispatchError('instance-failed', 'not now'))).toBe('instance-failed');
});
