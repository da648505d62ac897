import { asDispatchError, DispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import { metered, until, type MeteredBytes } from '../flow/index.ts';

/** The body of one STOW-RS request: multipart/related with a part an instance (PS3.18 section 10.5.1, RFC 2387). */
export interface StowBody {
  readonly lengthBytes: number;
  /** Opens the instances again each time it is called. */
  open(): AsyncGenerator<Uint8Array, void, undefined>;
  /** The instance at which the body broke off, and why; the source's part in a failed request. */
  readonly broken: { readonly instance: ManifestInstance; readonly error: DispatchError } | undefined;
}

export const stowBoundary = 'dicom-dispatch-7b1c5a0e9d';
const head = Buffer.from(`--${stowBoundary}\r\nContent-Type: application/dicom\r\n\r\n`, 'latin1');
const afterPart = Buffer.from('\r\n', 'latin1');
const end = Buffer.from(`--${stowBoundary}--\r\n`, 'latin1');

type Run = Pick<DeliveryRun<unknown>, 'open' | 'sent'>;

/**
 * @param sizeOf what each instance is expected to measure; the length of the whole is announced before it is read
 * @param measured told when the source has another size than expected; the request then breaks off
 */
export function stowBody(
  run: Run,
  batch: readonly ManifestInstance[],
  sizes: {
    readonly sizeOf: (instance: ManifestInstance) => number;
    measured(instance: ManifestInstance, sizeBytes: number): void;
  },
  signal: AbortSignal,
): StowBody {
  const lengthBytes = batch.reduce(
    (sum, instance) => sum + head.length + sizes.sizeOf(instance) + afterPart.length,
    end.length,
  );
  let broken: StowBody['broken'];

  function opening(instance: ManifestInstance | undefined): Promise<MeteredBytes> | undefined {
    if (!instance) return undefined;
    const opened = run
      // A part holds a Part 10 file (PS3.18 section 10.5.1): what is stored as less gets a header.
      .open(instance, { signal, asPart10: true })
      .then((bytes) => metered(bytes, { sent: (count) => run.sent(count), signal }));
    // Whoever takes its turn hears of a failure.
    opened.catch(() => {});
    return opened;
  }

  async function* part(instance: ManifestInstance, opened: Promise<MeteredBytes>): AsyncGenerator<Uint8Array, void> {
    const expected = sizes.sizeOf(instance);
    const bytes = await until(opened, signal, (late) => void late.release());
    try {
      if (bytes.sizeBytes !== undefined && bytes.sizeBytes !== expected) {
        sizes.measured(instance, bytes.sizeBytes);
        throw resized();
      }
      yield head;
      yield* bytes.body;
      if (bytes.readBytes !== expected) throw resized();
      yield afterPart;
    } finally {
      await bytes.release();
    }
  }

  async function* open(): AsyncGenerator<Uint8Array, void, undefined> {
    broken = undefined;
    // The next instance is opened while one is being sent.
    let ahead = opening(batch[0]);
    try {
      for (const [index, instance] of batch.entries()) {
        const opened = ahead;
        ahead = opening(batch[index + 1]);
        try {
          if (opened) yield* part(instance, opened);
        } catch (thrown) {
          broken = { instance, error: asDispatchError(thrown) };
          throw broken.error;
        }
      }
      yield end;
    } finally {
      void ahead?.then((bytes) => bytes.release()).catch(() => {});
    }
  }

  return {
    lengthBytes,
    open,
    get broken() {
      return broken;
    },
  };
}

function resized(): DispatchError {
  return new DispatchError('source-error', 'the source has an instance in another size than it said');
}
