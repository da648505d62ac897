import { createServer, type AddressInfo } from 'node:net';
import { DispatchError } from '@dicom-dispatch/core';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { networkSteps, runChecks } from './index.ts';

const signal = new AbortController().signal;

describe('runChecks', () => {
  it('runs in order, skips after a failure, and tidies up all the same', async () => {
    const ran: string[] = [];
    const step = (name: string, run: () => Promise<string | { skip: string }>, always = false) => ({
      name,
      always,
      run: () => {
        ran.push(name);
        return run();
      },
    });
    const checks = await Array.fromAsync(
      runChecks(
        [
          step('a', async () => 'fine'),
          step('b', async () => ({ skip: 'not here' })),
          step('c', () => Promise.reject(new DispatchError('target-full', 'it is full', { remedy: 'free space' }))),
          step('d', async () => 'never'),
          step('e', async () => 'tidied', true),
        ],
        signal,
      ),
    );
    expect(ran).toEqual(['a', 'b', 'c', 'e']);
    expect(checks).toMatchObject([
      { name: 'a', result: 'passed', detail: 'fine' },
      { name: 'b', result: 'skipped', detail: 'not here' },
      { name: 'c', result: 'failed', detail: 'it is full', remedy: 'free space' },
      { name: 'd', result: 'skipped', detail: 'the check c failed' },
      { name: 'e', result: 'passed', detail: 'tidied' },
    ]);
  });

  it('shows nothing of an unexpected error but its class', async () => {
    const step = { name: 'a', run: () => Promise.reject(new RangeError('Meier^Anna')) };
    const [check] = await Array.fromAsync(runChecks([step], signal));
    expect(check).toMatchObject({ result: 'failed', detail: 'unexpected RangeError' });
  });

  it('ends when cancelled, even while a check hangs', async () => {
    const stop = new AbortController();
    const checks = Array.fromAsync(runChecks([{ name: 'a', run: () => new Promise<string>(() => {}) }], stop.signal));
    stop.abort();
    await expect(checks).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('gives up connecting after the time-out', async () => {
    // An address of a documentation network (RFC 5737): no response, or no route.
    const peer = { host: '192.0.2.1', port: 9, timeoutMs: 200 };
    const checks = await Array.fromAsync(runChecks(networkSteps(peer), signal));
    expect(checks.map(({ name, result }) => [name, result])).toEqual([
      ['resolve', 'passed'],
      ['connect', 'failed'],
    ]);
  });

  it('gives up a TLS handshake after the time-out', async () => {
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    let connections = 0;
    await using silent = createServer((socket) => {
      socket.resume();
      connections += 1;
      // The first one is that of the check "connect".
      if (connections === 2) resolve();
    });
    await new Promise<void>((listening) => void silent.listen(0, '127.0.0.1', listening));
    const { port } = silent.address() as AddressInfo;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const peer = { host: '127.0.0.1', port, timeoutMs: 60_000, tls: async () => ({}) };
    const checking = Array.fromAsync(runChecks(networkSteps(peer), signal));
    await begun;
    await vi.advanceTimersByTimeAsync(60_000);
    const checks = await checking;
    expect(checks.map(({ name, result }) => [name, result])).toEqual([
      ['resolve', 'passed'],
      ['connect', 'passed'],
      ['tls', 'failed'],
    ]);
    expect(checks.at(-1)?.detail).toBe('127.0.0.1 did not respond within 60000 ms');
  });
});
