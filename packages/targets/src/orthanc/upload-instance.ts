import { asDispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, InstanceOutcome } from '@dicom-dispatch/target-kit';
import type { OpenedInstance } from '@dicom-dispatch/target-kit/flow';
import type { HttpConnection } from '../http/index.ts';
import { isSameContent } from './compare-content.ts';
import { conflict, differs, filteredOut, notStored, otherInstance, unknownStatus } from './errors.ts';
import { idOf, isOfInstance } from './instance-id.ts';
import type { OrthancTarget } from './schema.ts';
import { readStored, removeStored } from './stored-instance.ts';
import type { Unanswered } from './unanswered.ts';
import { Upload, type Uploaded } from './upload.ts';

/**
 * Sends one instance. `Success` confirms it; `AlreadyStored` only means that its UIDs exist: the content decides.
 *
 * @throws {DispatchError} the error that prevents the instance, or all of them, from arriving
 */
export async function uploadInstance(
  run: DeliveryRun<OrthancTarget>,
  http: HttpConnection,
  { opened, unanswered }: { readonly opened: OpenedInstance; readonly unanswered: Unanswered },
  signal: AbortSignal,
): Promise<InstanceOutcome> {
  const { config } = run;
  const upload = new Upload(run, http, opened, signal);
  const compare = (uploaded: Pick<Uploaded, 'id' | 'sentBytes' | 'md5'>): Promise<boolean> =>
    isSameContent(http, { uploaded, open: () => run.open(opened.instance, { signal }) }, signal);

  if (unanswered.has(opened.instance)) {
    // Connections to the source are limited: a lane that holds one must not wait for another.
    await upload.release();
    const id = idOf(opened.instance, run.study);
    const isThere = await hasContent(id).catch((thrown: unknown) => {
      if (signal.aborted) throw thrown;
      const { code } = asDispatchError(thrown);
      run.log.warn('an instance without a response could not be compared', {
        sopInstanceUid: opened.instance.sopInstanceUid,
        code,
      });
      return undefined;
    });
    if (isThere !== undefined) await unanswered.remove(opened.instance);
    if (isThere) return { kind: 'delivered', answer: `there with the same content, ${id}` };
  }
  let uploaded = await upload.send().catch(async (thrown: unknown) => {
    if (upload.isOpen && !signal.aborted) await unanswered.add(opened.instance);
    throw thrown;
  });
  await unanswered.remove(opened.instance);
  if (!(await isOfInstance(http, uploaded.id, opened.instance, run.study, signal))) throw otherInstance();
  if (uploaded.status === 'AlreadyStored') {
    if (config.onConflict === 'keep') {
      const warning = 'the target already had it (AlreadyStored); its content was not compared';
      return { kind: 'delivered', warning, isExisting: true };
    }
    if (await compare(uploaded)) return alreadyThere(uploaded);
    if (config.onConflict === 'error') return { kind: 'quarantined', error: conflict() };
    run.log.warn('other content replaced', { sopInstanceUid: opened.instance.sopInstanceUid });
    await removeStored(http, uploaded.id, signal);
    uploaded = await upload.send();
    // Another client has stored the instance in the meantime.
    if (uploaded.status === 'AlreadyStored' && !(await compare(uploaded))) {
      return { kind: 'quarantined', error: conflict() };
    }
    if (uploaded.status === 'AlreadyStored') return alreadyThere(uploaded);
  }
  if (uploaded.status === 'FilteredOut') return { kind: 'quarantined', error: filteredOut() };
  if (uploaded.status !== 'Success') throw unknownStatus(uploaded.status);
  if (uploaded.md5 !== undefined) {
    const stored = await readStored(http, uploaded.id, signal);
    if (!stored) throw notStored();
    if ((await stored.md5()) !== uploaded.md5) throw differs();
  }
  return { kind: 'delivered', answer: `Success, ${uploaded.id}` };

  async function hasContent(id: string): Promise<boolean> {
    const stored = await readStored(http, id, signal);
    const sentBytes = opened.bytes.sizeBytes ?? stored?.sizeBytes;
    return stored !== undefined && sentBytes !== undefined && (await compare({ id, sentBytes, md5: undefined }));
  }
}

function alreadyThere({ id }: Uploaded): InstanceOutcome {
  return { kind: 'delivered', answer: `AlreadyStored with the same content, ${id}` };
}
