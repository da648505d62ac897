import { createHash } from 'node:crypto';
import type { HttpConnection } from '../http/index.ts';
import { differs, notStored, orthancError } from './errors.ts';

export interface SentInstance {
  /** Orthanc's id at the target. */
  readonly id: string;
  /** Of what was sent, in hex. */
  readonly md5: string;
  /** It was there before, so the bytes are not the ones that were sent now. */
  readonly alreadyThere: boolean;
}

/** Compares the MD5 that the target keeps of an instance, or that of its file, with what was sent. */
export async function verifyStored(http: HttpConnection, sent: SentInstance, signal: AbortSignal): Promise<void> {
  const found = (await keptMd5(http, sent.id, signal)) ?? (await md5OfFile(http, sent.id, signal));
  if (found !== sent.md5) throw differs(sent.alreadyThere);
}

/** Undefined when the target keeps none (`StoreMD5ForAttachments` is off). */
async function keptMd5(http: HttpConnection, id: string, signal: AbortSignal): Promise<string | undefined> {
  const path = `/instances/${encodeURIComponent(id)}/attachments/dicom/md5`;
  const answer = await http.request({ method: 'GET', path, signal });
  if (answer.status !== 200) {
    await answer.discard();
    return undefined;
  }
  const text = (await answer.text(1024)).trim().toLowerCase();
  return /^[0-9a-f]{32}$/.test(text) ? text : undefined;
}

async function md5OfFile(http: HttpConnection, id: string, signal: AbortSignal): Promise<string> {
  const answer = await http.request({ method: 'GET', path: `/instances/${encodeURIComponent(id)}/file`, signal });
  if (answer.status === 404) {
    await answer.discard();
    throw notStored();
  }
  if (answer.status !== 200) throw await orthancError(answer, 'the verification');
  const hash = createHash('md5');
  for await (const chunk of answer.chunks()) hash.update(chunk);
  return hash.digest('hex');
}
