import { describe, expect, it } from 'vitest';
import { DispatchError } from '../errors/dispatch-error.ts';
import { errorCodes, type ErrorCode } from '../errors/error-codes.ts';
import { afterFailure, type AttemptFacts } from './after-failure.ts';

const nothing: AttemptFacts = { isReached: true, confirmed: 0, failures: 0, attempts: 3 };
const after = (code: ErrorCode, facts: Partial<AttemptFacts> = {}) =>
  afterFailure(new DispatchError(code, 'x'), { ...nothing, ...facts });

describe('after a failed attempt', () => {
  it('only one that reached the target and confirmed nothing counts', () => {
    expect(after('target-error')).toEqual({ kind: 'pause', counts: true });
    expect(after('target-error', { failures: 2 })).toEqual({ kind: 'exhausted' });
    expect(after('target-error', { failures: 2, confirmed: 1 })).toEqual({ kind: 'pause', counts: false });
    expect(after('source-unreachable', { isReached: false, failures: 99 })).toEqual({ kind: 'pause', counts: false });
    expect(after('ledger-unavailable', { failures: 99 })).toEqual({ kind: 'pause', counts: false });
    expect(after('local-resources', { failures: 99 })).toEqual({ kind: 'pause', counts: false });
  });

  it('what Redis, this machine or the source could not do does not count, even in the middle of a transfer', () => {
    for (const code of ['source-unreachable', 'source-unauthorized', 'lock-lost', 'uids-in-use'] as const) {
      expect(after(code, { failures: 99 })).toEqual({ kind: 'pause', counts: false });
    }
    // A failure of the source during a transfer counts: the study may be the cause.
    expect(after('source-error')).toEqual({ kind: 'pause', counts: true });
    expect(after('internal', { isReached: false, failures: 99 })).toEqual({ kind: 'pause', counts: false });
  });

  it('the last attempt that may count ends it', () => {
    expect(after('target-error', { failures: 1 })).toEqual({ kind: 'pause', counts: true });
    expect(after('target-error', { failures: 0, attempts: 1 })).toEqual({ kind: 'exhausted' });
    expect(after('target-error', { failures: 5, attempts: 3 })).toEqual({ kind: 'exhausted' });
  });

  it('a target that is down, silent, busy, or closes the connection before authentication opens its circuit', () => {
    for (const code of ['target-unreachable', 'target-timeout', 'target-busy'] as const) {
      for (const isReached of [true, false])
        expect(after(code, { isReached, failures: 99 })).toEqual({ kind: 'circuit' });
    }
    expect(after('target-connection-lost', { isReached: false, failures: 99 })).toEqual({ kind: 'circuit' });
    expect(after('target-connection-lost')).toEqual({ kind: 'pause', counts: true });
  });

  it('what only a change of configuration mends opens the circuit, after connecting too', () => {
    for (const code of ['target-misconfigured', 'target-unauthorized', 'target-rejected'] as const) {
      expect(after(code)).toEqual({ kind: 'circuit' });
      expect(after(code, { isReached: false })).toEqual({ kind: 'circuit' });
      // Some instances can be stored: the target as a whole is usable.
      expect(after(code, { confirmed: 1 })).toEqual({ kind: 'pause', counts: false });
    }
  });

  it('an error that no repetition corrects ends the delivery, whatever arrived', () => {
    for (const [code, { disposition }] of Object.entries(errorCodes)) {
      if (disposition !== 'permanent') continue;
      expect(after(code as ErrorCode)).toEqual({ kind: 'end' });
      expect(after(code as ErrorCode, { confirmed: 5 })).toEqual({ kind: 'end' });
    }
  });
});
