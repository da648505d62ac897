import { readPart10, TRANSFER_SYNTAX } from 'dicom-dimse';

/** Identifies an instance as in the file itself: the four values that Orthanc uses too. */
export interface InstanceIdentity {
  /**
   * The Patient ID as Orthanc reads it: its bytes in the file, without padding (with padding if the VR is UN), followed by the
   * character set if it is not plain ASCII. Empty if there is none. Never shown or stored.
   */
  readonly patientId: string;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
}

/** Maximum number of bytes read from a file to identify it: private elements may precede group 0020. */
export const maxIdentityBytes = 1024 * 1024;

const tags = {
  characterSet: 0x00080005,
  sopInstanceUid: 0x00080018,
  patientId: 0x00100020,
  study: 0x0020000d,
  series: 0x0020000e,
};

/**
 * Reads the identity of an instance from the beginning of its file. Files without preamble, without file meta information, or with a
 * wrong group length are read too, since Orthanc stores and forwards them.
 *
 * @param body - from the first byte on; no more is requested than needed, and nothing after `maxIdentityBytes`
 * @returns undefined if it is not a DICOM file, or if one of its UIDs is missing within the limit
 * @throws the error of the body, if it cannot be read
 */
export async function readIdentity(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<InstanceIdentity | undefined> {
  const head = new Replayed(body);
  try {
    return (
      (await identityOf(head, TRANSFER_SYNTAX.implicitVrLittleEndian)) ??
      (await identityOf(head, TRANSFER_SYNTAX.explicitVrLittleEndian))
    );
  } finally {
    await head.close();
  }
}

export function isSameInstance(first: InstanceIdentity | undefined, second: InstanceIdentity | undefined): boolean {
  if (!first || !second) return false;
  return (
    first.sopInstanceUid === second.sopInstanceUid &&
    first.seriesInstanceUid === second.seriesInstanceUid &&
    first.studyInstanceUid === second.studyInstanceUid &&
    first.patientId === second.patientId
  );
}

/** @param transferSyntaxUid - of a file without file meta information */
async function identityOf(head: Replayed, transferSyntaxUid: string): Promise<InstanceIdentity | undefined> {
  try {
    const { elements } = await readPart10(head.read(), {
      tags: Object.values(tags),
      maxValueBytes: 1024,
      known: { transferSyntaxUid },
    });
    const text = (tag: number): string =>
      elements
        .get(tag)
        ?.value.toString('latin1')
        .replace(/^ +|[\0 ]+$/g, '') ?? '';
    const patient = elements.get(tags.patientId);
    const patientId = patient?.vr === 'UN' ? patient.value.toString('latin1') : text(tags.patientId);
    // eslint-disable-next-line no-control-regex
    const isAscii = /^[\x00-\x7f]*$/.test(patientId);
    const identity = {
      // In another character set the same bytes are other letters, and identify another patient.
      patientId: isAscii ? patientId : `${patientId} ${text(tags.characterSet)}`,
      studyInstanceUid: text(tags.study),
      seriesInstanceUid: text(tags.series),
      sopInstanceUid: text(tags.sopInstanceUid),
    };
    const isWhole = identity.studyInstanceUid && identity.seriesInstanceUid && identity.sopInstanceUid;
    return isWhole ? identity : undefined;
  } catch {
    // It is not such a file. `Replayed.close` throws errors of reading.
    return undefined;
  }
}

/** The beginning of a body, stored for any number of readers. */
class Replayed {
  readonly #iterator: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #failure: { readonly thrown: unknown } | undefined;
  #isDone = false;

  constructor(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
    this.#iterator = Symbol.asyncIterator in body ? body[Symbol.asyncIterator]() : body[Symbol.iterator]();
  }

  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let index = 0; ; index += 1) {
      const chunk = this.#chunks[index] ?? (await this.#more());
      if (!chunk) return;
      yield chunk;
    }
  }

  async #more(): Promise<Uint8Array | undefined> {
    if (this.#isDone || this.#bytes >= maxIdentityBytes) return undefined;
    try {
      const { done, value } = await this.#iterator.next();
      if (done) {
        this.#isDone = true;
        return undefined;
      }
      // A copy: the provider of the bytes may reuse their memory.
      const chunk = Buffer.from(value);
      this.#chunks.push(chunk);
      this.#bytes += chunk.length;
      return chunk;
    } catch (thrown) {
      this.#failure = { thrown };
      this.#isDone = true;
      throw thrown;
    }
  }

  /** @throws the error of reading, which does not depend on the content of the file */
  async close(): Promise<void> {
    if (!this.#isDone) await this.#iterator.return?.();
    if (this.#failure) throw this.#failure.thrown;
  }
}
