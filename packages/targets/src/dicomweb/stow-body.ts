import { asDispatchError, DispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { LateReturns, metered, until, type MeteredBytes } from '@dicom-dispatch/target-kit/flow';

/** An error of the source with an instance. */
export interface SourceFailure {
  readonly instance: ManifestInstance;
  readonly error: DispatchError;
}

/** The instances of one STOW-RS request, as a multipart body that can be created again with another boundary. */
export interface StowBody {
  /**
   * The body of a multipart/related request with this boundary (PS3.18 section 10.5.1, RFC 2387). Opens the instances again.
   */
  open(boundary: string): AsyncGenerator<Uint8Array, void, undefined>;
  /** Its length, or undefined if sizes are known only when the instances are opened. */
  lengthBytes(boundary: string): number | undefined;
  /** The instance at which the source ended the body early, and why; undefined if the source is not the cause of a failed request. */
  readonly broken: SourceFailure | undefined;
  /** Instances that could not be opened, and are not in the body. */
  readonly skipped: readonly SourceFailure[];
  /** Whether the body was read completely. */
  readonly isWhole: boolean;
}

export interface StowSizes {
  /** Expected size of each instance; the total length is announced before reading. */
  readonly sizeOf: (instance: ManifestInstance) => number;
  /** Called if the source announces another size than expected; the request is then aborted. */
  measured(instance: ManifestInstance, sizeBytes: number): void;
}

const afterPart = Buffer.from('\r\n', 'latin1');

type Run = Pick<DeliveryRun<unknown>, 'open' | 'sent'>;

/** @param sizes - undefined if instances are transformed: then no length is announced or expected */
export function stowBody(
  run: Run,
  batch: readonly ManifestInstance[],
  sizes: StowSizes | undefined,
  signal: AbortSignal,
): StowBody {
  let broken: StowBody['broken'];
  let skipped: SourceFailure[] = [];
  let isWhole = false;

  function opening(instance: ManifestInstance | undefined): Promise<MeteredBytes> | undefined {
    if (!instance) return undefined;
    const opened = run
      // A part is a Part 10 file (PS3.18 section 10.5.1): other stored files get a header.
      .open(instance, { signal, asPart10: true })
      .then((bytes) => metered(bytes, { sent: (count) => run.sent(count), signal }));
    // The error is handled where the instance is awaited.
    opened.catch(() => {});
    return opened;
  }

  async function* part(
    instance: ManifestInstance,
    bytes: MeteredBytes,
    head: Buffer,
    returns: LateReturns,
  ): AsyncGenerator<Uint8Array, void> {
    const expected = sizes?.sizeOf(instance);
    try {
      if (sizes && bytes.sizeBytes !== undefined && bytes.sizeBytes !== expected) {
        sizes.measured(instance, bytes.sizeBytes);
        throw resized();
      }
      yield head;
      yield* returns.borrow(bytes);
      if (expected !== undefined && bytes.readBytes !== expected) throw resized();
      yield afterPart;
    } finally {
      await bytes.release();
    }
  }

  /** If no length was announced, an instance that cannot be opened is omitted from the request. */
  async function openOrSkip(
    instance: ManifestInstance,
    opened: Promise<MeteredBytes>,
  ): Promise<MeteredBytes | undefined> {
    try {
      return await until(opened, signal, (late) => void late.release());
    } catch (thrown) {
      if (sizes || signal.aborted) throw thrown;
      skipped.push({ instance, error: asDispatchError(thrown) });
      return undefined;
    }
  }

  async function* open(boundary: string): AsyncGenerator<Uint8Array, void, undefined> {
    const head = headOf(boundary);
    const returns = new LateReturns();
    broken = undefined;
    skipped = [];
    isWhole = false;
    // The next instance is opened while one is being sent.
    let ahead = opening(batch[0]);
    try {
      for (const [index, instance] of batch.entries()) {
        const opened = ahead;
        ahead = opening(batch[index + 1]);
        try {
          const bytes = opened && (await openOrSkip(instance, opened));
          if (bytes) yield* part(instance, bytes, head, returns);
        } catch (thrown) {
          broken = { instance, error: asDispatchError(thrown) };
          throw broken.error;
        }
      }
      yield endOf(boundary);
      isWhole = true;
    } finally {
      void ahead?.then((bytes) => bytes.release()).catch(() => {});
    }
  }

  return {
    open,
    lengthBytes(boundary) {
      if (!sizes) return undefined;
      const around = headOf(boundary).length + afterPart.length;
      return batch.reduce((sum, one) => sum + around + sizes.sizeOf(one), endOf(boundary).length);
    },
    get broken() {
      return broken;
    },
    get skipped() {
      return skipped;
    },
    get isWhole() {
      return isWhole;
    },
  };
}

function headOf(boundary: string): Buffer {
  return Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`, 'latin1');
}

function endOf(boundary: string): Buffer {
  return Buffer.from(`--${boundary}--\r\n`, 'latin1');
}

function resized(): DispatchError {
  return new DispatchError('source-error', 'the source sent a different size for an instance than it announced');
}
