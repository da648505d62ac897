import { createHash } from 'node:crypto';
import { DispatchError } from '@dicom-dispatch/core';
import { digestElements, isDimseError, TRANSFER_SYNTAX, type ElementDigests } from 'dicom-dimse';
import type { ListedInstance } from '@dicom-dispatch/target-kit';
import { verdictOf } from '@dicom-dispatch/target-kit/flow';

/** Result of a comparison of the content of an instance; `detail` describes it without values of the data set. */
export interface Comparison {
  /** Undefined if it could not be compared. */
  readonly content: 'same' | 'different' | undefined;
  readonly detail?: string;
}

interface ReadFile {
  /** SHA-256 of all its bytes, hexadecimal; undefined if it was not read completely. */
  readonly sha256: string | undefined;
  /** Undefined if it is not a DICOM file. */
  readonly digests: ElementDigests | undefined;
}

type Describe = (tag: number) => { readonly keyword: string; readonly vr: string | undefined } | undefined;

const maxNamed = 10;
/** Elements that describe or hold encoded pixels: they change with the transfer syntax. */
const ofEncoding: ReadonlySet<number> = new Set([
  0x00280004, 0x00280006, 0x00282110, 0x00282112, 0x00282114, 0x7fe00008, 0x7fe00009, 0x7fe00010,
]);
const uncompressed: ReadonlySet<string> = new Set([
  TRANSFER_SYNTAX.implicitVrLittleEndian,
  TRANSFER_SYNTAX.explicitVrLittleEndian,
  TRANSFER_SYNTAX.deflatedExplicitVrLittleEndian,
  TRANSFER_SYNTAX.explicitVrBigEndian,
]);

/**
 * Compares a retrieved instance with the sent one. Files with the digest in the receipt have the same content. Otherwise the elements
 * are compared with those of the instance in the source: a receiver may rewrite the file meta information, and encode lengths, VRs and
 * uncompressed values in another way.
 *
 * @param isIgnored - whether the receiver may change an element, by its tag (0xGGGGEEEE)
 * @throws DispatchError if the source as a whole cannot be read; the error of `retrieved`
 */
export async function compareDataSets(
  instance: ListedInstance,
  retrieved: AsyncIterable<Uint8Array>,
  isIgnored: (tag: number) => boolean = () => false,
): Promise<Comparison> {
  const { describeTag } = await import('dicom-dimse/dataset');
  const there = await readFile(retrieved, instance, describeTag);
  const { sentSha256 } = instance;
  if (sentSha256 !== undefined && there.sha256 === sentSha256) return { content: 'same' };
  const here = await readSource(instance, describeTag);
  if (typeof here === 'string') return { content: undefined, detail: here };
  if (there.sha256 !== undefined && there.sha256 === here.sha256) return { content: 'same' };
  const verdict = judge(there.digests, here.digests, { isIgnored, describe: describeTag });
  const isWhatWasSent = sentSha256 === undefined || here.sha256 === sentSha256;
  if (verdict.content !== 'different' || isWhatWasSent) return verdict;
  return { content: undefined, detail: 'the source no longer has what was sent' };
}

function judge(
  there: ElementDigests | undefined,
  here: ElementDigests | undefined,
  { isIgnored, describe }: { readonly isIgnored: (tag: number) => boolean; readonly describe: Describe },
): Comparison {
  if (!here || here.broken) return { content: undefined, detail: 'what was sent cannot be read as a DICOM data set' };
  if (!there || there.elements.size === 0)
    return { content: 'different', detail: 'the retrieved data set cannot be read' };
  if (there.broken) {
    const at = nameOf(there.broken.tag, describe);
    return { content: 'different', detail: `the retrieved data set ends early or is damaged, at ${at}` };
  }
  const isComparable =
    there.meta.transferSyntaxUid === here.meta.transferSyntaxUid ||
    (uncompressed.has(there.meta.transferSyntaxUid) && uncompressed.has(here.meta.transferSyntaxUid));
  const tags = [...new Set([...here.elements.keys(), ...there.elements.keys()])]
    .sort((one, other) => one - other)
    .filter((tag) => here.elements.get(tag) !== there.elements.get(tag))
    .filter((tag) => !isIgnored(tag) && (isComparable || !ofEncoding.has(tag)));
  const parts = [
    ['differs in', tags.filter((tag) => here.elements.has(tag) && there.elements.has(tag))],
    ['lacks', tags.filter((tag) => !there.elements.has(tag))],
    ['also has', tags.filter((tag) => !here.elements.has(tag))],
  ] as const;
  const words = parts.flatMap(([verb, some]) => (some.length > 0 ? [`${verb} ${namesOf(some, describe)}`] : []));
  if (words.length > 0) return { content: 'different', detail: words.join('; ') };
  if (isComparable) return { content: 'same' };
  return { content: undefined, detail: 'the target has its pixel data in another transfer syntax' };
}

/** The keyword of a tag; for a private or unknown tag its number. */
function nameOf(tag: number, describe: Describe): string {
  const hex = tag.toString(16).toUpperCase().padStart(8, '0');
  return describe(tag)?.keyword ?? `(${hex.slice(0, 4)},${hex.slice(4)})`;
}

function namesOf(tags: readonly number[], describe: Describe): string {
  const names = tags.slice(0, maxNamed).map((tag) => nameOf(tag, describe));
  return `${names.join(', ')}${tags.length > maxNamed ? ` and ${tags.length - maxNamed} more` : ''}`;
}

/** @returns a text with the reason, if the source cannot provide this instance or study */
async function readSource(instance: ListedInstance, describe: Describe): Promise<ReadFile | string> {
  try {
    return await readFile((await instance.open()).body, instance, describe);
  } catch (error) {
    if (!(error instanceof DispatchError)) throw error;
    if (error.code === 'source-gone' || error.code === 'source-instance-gone') return 'the source no longer has it';
    if (verdictOf(error) !== 'stop') return 'the source cannot provide it';
    throw error;
  }
}

async function readFile(
  body: AsyncIterable<Uint8Array>,
  { instance: { transferSyntaxUid } }: ListedInstance,
  describe: Describe,
): Promise<ReadFile> {
  const sum = createHash('sha256');
  let isWhole = false;
  async function* tapped(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of body) {
      sum.update(chunk);
      yield chunk;
    }
    isWhole = true;
  }
  const options = {
    vrOf: (tag: number) => describe(tag)?.vr,
    known: transferSyntaxUid === undefined ? undefined : { transferSyntaxUid },
  };
  try {
    const digests = await digestElements(tapped(), options);
    return { sha256: isWhole ? sum.digest('hex') : undefined, digests };
  } catch (error) {
    if (isDimseError(error, 'source-not-dicom')) return { sha256: undefined, digests: undefined };
    if (isDimseError(error, 'source-failed') && error.cause !== undefined) throw error.cause;
    throw error;
  }
}
