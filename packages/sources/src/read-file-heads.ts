import { OrthancError, type OrthancClient, type StudyInstance } from '@dicom-dispatch/orthanc';
import { readHead, type FileHead } from './guard/read-head.ts';
import { isOfOneFile } from './instance-error.ts';

type Instance = Pick<StudyInstance, 'id' | 'sopClassUid' | 'transferSyntaxUid'>;

/** A head is within the first bytes; the rest of a file without one is not read. */
const maxHeadBytes = 256 * 1024;

/**
 * Adds SOP class and transfer syntax of instances of which Orthanc knows neither, as after a wrong group length of the file
 * meta information: from the file itself. What the file does not contain stays unknown.
 */
export async function withFileHeads<T extends Instance>(
  orthanc: OrthancClient,
  instances: readonly T[],
  signal?: AbortSignal,
): Promise<readonly T[]> {
  const isKnown = ({ sopClassUid, transferSyntaxUid }: Instance): boolean =>
    sopClassUid !== undefined && transferSyntaxUid !== undefined;
  if (instances.every(isKnown)) return instances;
  const filled: T[] = [];
  for (const instance of instances) filled.push(isKnown(instance) ? instance : await fill(instance));
  return filled;

  async function fill(instance: T): Promise<T> {
    const head = await headOf(orthanc, instance.id, signal);
    if (!head) return instance;
    const { meta, dataSet } = head;
    const sopClassUid = instance.sopClassUid ?? dataSet.sopClassUid ?? meta.sopClassUid;
    return { ...instance, sopClassUid, transferSyntaxUid: instance.transferSyntaxUid ?? meta.transferSyntaxUid };
  }
}

/**
 * @returns undefined for a file that cannot be read: what is wrong with it is found when it is sent
 * @throws OrthancError for an error that may not be one of this file
 */
async function headOf(orthanc: OrthancClient, id: string, signal?: AbortSignal): Promise<FileHead | undefined> {
  try {
    const { body } = await orthanc.instanceFile(id, signal && { signal });
    let bytes: Buffer = Buffer.alloc(0);
    for await (const chunk of body) {
      bytes = Buffer.concat([bytes, chunk]);
      const read = readHead(bytes, bytes.length >= maxHeadBytes, undefined);
      if (read.kind !== 'more') return read.kind === 'read' ? read.head : undefined;
    }
    const read = readHead(bytes, true, undefined);
    return read.kind === 'read' ? read.head : undefined;
  } catch (error) {
    // An error of a proxy or of the connection may be over at the next attempt.
    const isOfOrthanc = error instanceof OrthancError && (error.isOrthancAnswer || error.code === 'protocol');
    if (isOfOrthanc && (await isOfOneFile(error, { orthanc, signal }))) return undefined;
    throw error;
  }
}
