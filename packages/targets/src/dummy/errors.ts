import { DispatchError, type ErrorCode, type Stage } from '@dicom-dispatch/core';
import type { DummyTarget } from './schema.ts';

const usualCode = {
  connect: 'target-unreachable',
  transfer: 'target-error',
  verify: 'verify-missing',
  finalize: 'finalize-failed',
} as const satisfies Record<DummyTarget['failStage'], ErrorCode>;

/** The failure that the configuration requests. */
export function staged(config: DummyTarget): DispatchError {
  const stage: Stage = config.failStage;
  return new DispatchError(config.failCode ?? usualCode[config.failStage], 'the dummy target fails as configured', {
    stage,
    remedy: `This target is configured to fail: lower its failureRate (${config.failureRate}).`,
  });
}

export function refused(): DispatchError {
  return new DispatchError('instance-refused', 'the dummy target rejects this instance as configured', {
    remedy: 'This target is configured to reject instances: lower its quarantineRate.',
  });
}
