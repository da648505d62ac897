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

it('of a shortage of this host has its remedy and its cause, and the stage where it occurred', () => {
  const cause = Object.assign(new Error('x'), { code: 'EMFILE' });
  expect(asDispatchError(cause, 'transfer')).toMatchObject({
    code: 'local-resources',
    message: 'this process has reached its limit of open files and connections',
    stage: 'transfer',
    stageGiven: true,
    remedy: 'Raise the limit of open files of the dispatcher: ulimit -n, LimitNOFILE in systemd, ulimits in Compose.',
    cause,
  });
  expect(asDispatchError(cause)).toMatchObject({ stage: errorCodes['local-resources'].stage, stageGiven: false });
});

it('of an unknown error has the stage where it occurred', () => {
  expect(asDispatchError('text', 'verify')).toMatchObject({
    code: 'internal',
    message: 'unexpected string',
    stage: 'verify',
    stageGiven: true,
    cause: 'text',
  });
  expect(asDispatchError(new Error('x'))).toMatchObject({ stage: errorCodes.internal.stage, stageGiven: false });
});
