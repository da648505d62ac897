import type { DeliveryRun } from '@dicom-dispatch/target-kit';
import { LateReturns, metered, type OpenedInstance } from '@dicom-dispatch/target-kit/flow';
import { elsewhere, foreignAnswer, importError } from './errors.ts';
import { renderLabel } from './label.ts';
import type { XnatTarget } from './schema.ts';
import type { XnatLogin } from './xnat-login.ts';

/** Destination of the instances of a study: ids or labels of XNAT. */
export interface XnatPlace {
  readonly project: string;
  readonly subject: string;
  readonly session: string;
}

export function placeOf(config: XnatTarget, { study }: Pick<DeliveryRun<XnatTarget>, 'study'>): XnatPlace {
  return {
    project: renderLabel(config.project, study),
    subject: renderLabel(config.subject, study),
    session: renderLabel(config.session, study),
  };
}

/**
 * `POST /data/services/import` with the handler gradual-DICOM: one instance into the prearchive.
 *
 * @returns the path of the session there, e.g. `/prearchive/projects/P/20240615_120000123/S`
 */
export async function importInstance(
  run: DeliveryRun<XnatTarget>,
  login: XnatLogin,
  { place, opened: { instance, bytes } }: { readonly place: XnatPlace; readonly opened: OpenedInstance },
  signal: AbortSignal,
): Promise<string> {
  let sends = 0;
  async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
    sends += 1;
    // The connection or the login was lost during the first try: the source must be opened again.
    const again =
      sends === 1
        ? undefined
        : metered(await run.open(instance, { signal, asPart10: true }), { sent: (n) => run.sent(n), signal });
    try {
      yield* new LateReturns().borrow(again ?? bytes);
    } finally {
      await again?.release();
    }
  }
  const parameters = new URLSearchParams({
    'import-handler': 'gradual-DICOM',
    inbody: 'true',
    PROJECT_ID: place.project,
    SUBJECT_ID: place.subject,
    EXPT_LABEL: place.session,
  });
  const answer = await login.request({
    method: 'POST',
    path: `/data/services/import?${parameters}`,
    headers: { 'content-type': 'application/dicom' },
    body,
    bodyBytes: bytes.sizeBytes,
    repeat: true,
    signal,
  });
  if (answer.status !== 200 && answer.status !== 201) throw await importError(answer);
  const path = sessionPath(await answer.text(10_000));
  if (path === undefined) throw foreignAnswer('the upload');
  if (!path.startsWith(`/prearchive/projects/${place.project}/`)) throw elsewhere(place.project);
  return path;
}

/**
 * XNAT responds with one line such as `/data/prearchive/projects/P/20240615_120000123/S`, which may begin with its URL.
 * Undefined for anything else, such as a page that contains such a line.
 */
function sessionPath(text: string): string | undefined {
  const line =
    /^(?:https?:\/\/)?[\w.:/~-]{0,500}?(\/prearchive\/projects\/[\w.~-]{1,200}\/[\w.~-]{1,100}\/[\w.~-]{1,200})\/?$/;
  const path = line.exec(text.trim())?.[1];
  return path === undefined || path.split('/').some((part) => /^\.+$/.test(part)) ? undefined : path;
}
