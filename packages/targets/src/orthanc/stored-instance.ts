import { createHash } from 'node:crypto';
import { maxInstanceBytes, type HttpConnection } from '../http/index.ts';
import { notReadable, orthancError } from './errors.ts';

/** An instance at the target. */
export interface StoredInstance {
  readonly sizeBytes: number | undefined;
  /** MD5 of the stored file in hexadecimal: as stored by the target, otherwise computed from the downloaded file. */
  md5(): Promise<string>;
  file(): Promise<AsyncIterable<Uint8Array>>;
}

/** @returns undefined if the target does not have the instance @throws {DispatchError} also if reading is not permitted */
export async function readStored(
  http: HttpConnection,
  id: string,
  signal: AbortSignal,
): Promise<StoredInstance | undefined> {
  const path = `/instances/${id}`;
  const size = await http.request({ method: 'GET', path: `${path}/attachments/dicom/size`, signal });
  if (size.status === 404) {
    await size.discard();
    return undefined;
  }
  if (size.status === 401 || size.status === 403) {
    await size.discard();
    throw notReadable(size.status);
  }
  if (size.status !== 200) throw await orthancError(size, 'the verification');
  const text = (await size.text(1024)).trim();

  async function file(): Promise<AsyncIterable<Uint8Array>> {
    const answer = await http.request({ method: 'GET', path: `${path}/file`, signal });
    if (answer.status !== 200) throw await orthancError(answer, 'the verification');
    return answer.chunks(maxInstanceBytes);
  }

  return {
    sizeBytes: /^\d{1,15}$/.test(text) ? Number(text) : undefined,
    file,
    async md5() {
      const answer = await http.request({ method: 'GET', path: `${path}/attachments/dicom/md5`, signal });
      if (answer.status === 200) {
        const kept = (await answer.text(1024)).trim().toLowerCase();
        if (/^[0-9a-f]{32}$/.test(kept)) return kept;
      } else {
        // `StoreMD5ForAttachments` is off.
        await answer.discard();
      }
      const md5 = createHash('md5');
      for await (const chunk of await file()) md5.update(chunk);
      return md5.digest('hex');
    },
  };
}

/** Deletes an instance, so that other content can replace it. A missing instance is not an error. */
export async function removeStored(http: HttpConnection, id: string, signal: AbortSignal): Promise<void> {
  const answer = await http.request({ method: 'DELETE', path: `/instances/${id}`, signal });
  if (answer.status !== 200 && answer.status !== 404) throw await orthancError(answer, 'the removal of other content');
  await answer.discard();
}
