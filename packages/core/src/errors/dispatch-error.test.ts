import { expect, it } from 'vitest';
import { asDispatchError, DispatchError, errorCodes } from '../index.ts';

it('takes disposition, fault and remedy from the table', () => {
  const error = new DispatchError('target-unreachable', 'nothing listens on 10.0.0.1:104');
  expect(error).toMatchObject({ disposition: 'wait', fault: 'target', stage: 'connect' });
  expect(error.toRecord().remedy).toBe(errorCodes['target-unreachable'].remedy);
});

it('gives a stage to what has none, and leaves a given one', () => {
  expect(asDispatchError(new DispatchError('target-timeout', 'x'), 'verify').stage).toBe('verify');
  expect(asDispatchError(new DispatchError('target-timeout', 'x', { stage: 'connect' }), 'verify').stage).toBe(
    'connect',
  );
  const kept = asDispatchError(new DispatchError('target-busy', 'x', { retryAfterMs: 5 }), 'transfer');
  expect(kept.retryAfterMs).toBe(5);
});

it('shows nothing of a foreign text, which might quote anything', () => {
  const error = asDispatchError(new TypeError('cannot read DOE^JOHN'));
  expect(error).toMatchObject({ code: 'internal', message: 'unexpected TypeError' });
  expect((error.cause as Error).message).toContain('DOE');
});
