import { DispatchError, type InstanceBytes } from '@dicom-dispatch/core';
import { expectWhole } from '@dicom-dispatch/sources';

/** An instance that is being pulled. */
export interface WatchedBody {
  /** Ends with an error before its last bytes if the instance ends early. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The error with which the body ended: its reader may have replaced it. */
  readonly error: unknown;
}

/** Distinguishes errors of a pulled instance from those of its destination. */
export function watchedBody({ body }: Pick<InstanceBytes, 'body'>): WatchedBody {
  let error: unknown;
  async function* watched(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* expectWhole(body, cutOff);
    } catch (thrown) {
      error = thrown;
      throw thrown;
    }
  }
  return {
    body: watched(),
    get error() {
      return error;
    },
  };
}

function cutOff(): DispatchError {
  return new DispatchError('instance-unsupported', 'the target sent an instance that ends early', {
    stage: 'transfer',
  });
}
