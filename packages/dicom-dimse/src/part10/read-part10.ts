import { DimseError } from '../errors/dimse-error.ts';
import { TRANSFER_SYNTAX } from '../uids.ts';
import type { ByteSource } from './byte-source.ts';
import { ByteStream } from './byte-stream.ts';
import { inflated } from './inflated.ts';
import { readElements } from './read-elements.ts';
import type { Part10Element } from './read-elements.ts';
import type { FileMeta } from './file-meta.ts';
import { openPart10 } from './open-part10.ts';
import type { OpenPart10Options } from './open-part10.ts';

export interface ReadPart10Options extends OpenPart10Options {
  /** Wanted top-level tags, as 0xGGGGEEEE. Reading stops after the highest. Default none: only the file meta information. */
  readonly tags?: readonly number[] | undefined;
  /** The longest value of a wanted tag. Default 64 KiB. */
  readonly maxValueBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Part10Head {
  readonly meta: FileMeta;
  /** The wanted elements that exist. Sequences are not included: their items are skipped. */
  readonly elements: ReadonlyMap<number, Part10Element>;
}

/**
 * Reads only the data for routing from a Part 10 file: the file meta information and chosen top-level elements, in Implicit VR,
 * Explicit VR, Explicit VR Big Endian (retired) and Deflated. The source is closed when enough has been read.
 *
 * @throws DimseError `source-not-dicom`, `source-failed`, `cancelled`, `limit-exceeded` if a wanted value is longer than
 * allowed.
 */
export function readPart10(source: ByteSource, options: ReadPart10Options = {}): Promise<Part10Head> {
  const { signal } = options;
  if (signal === undefined) return read(source, options);
  return new Promise((resolve, reject) => {
    // Closing a hanging source may never end: the caller does not wait for it.
    const onAbort = (): void => reject(new DimseError('cancelled', 'reading was cancelled', { cause: signal.reason }));
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    read(source, options)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}

async function read(source: ByteSource, options: ReadPart10Options): Promise<Part10Head> {
  const { meta, head, rest } = await openPart10(source, options);
  const tags = new Set(options.tags ?? []);
  if (tags.size === 0) {
    await rest.close();
    return { meta, elements: new Map() };
  }
  const syntax = meta.transferSyntaxUid;
  const isDeflated = syntax === TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian;
  const stream = isDeflated ? inflated(head, rest) : new ByteStream(head, rest);
  try {
    const elements = await readElements(stream, {
      isExplicit: syntax !== TRANSFER_SYNTAX.implicitVrLittleEndian,
      isBigEndian: syntax === TRANSFER_SYNTAX.explicitVrBigEndian,
      tags,
      maxValueBytes: options.maxValueBytes ?? 64 * 1024,
      signal: options.signal,
    });
    return { meta, elements };
  } finally {
    await stream.close();
  }
}
