import { setTimeout as pause } from 'node:timers/promises';
import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import { cancelledError, listedBy } from '../flow/index.ts';
import type { HttpConnection } from '../http/index.ts';
import { searchAll } from './qido.ts';
import type { DicomwebTarget } from './schema.ts';

/** SOP Instance UIDs that the service lists for a study. */
export async function listStudy(
  http: HttpConnection,
  config: Pick<DicomwebTarget, 'url' | 'qidoUrl'>,
  studyUid: string,
  signal: AbortSignal,
): Promise<Set<string>> {
  const address = `${config.qidoUrl ?? config.url}/studies/${encodeURIComponent(studyUid)}/instances`;
  const listed = new Set<string>();
  for await (const { '00080018': uid } of searchAll(http, { address, uidTag: '00080018' }, signal)) {
    listed.add(String(uid?.Value?.[0]));
  }
  return listed;
}

/** The same for a run: who has asked since its last instance left is believed. */
export function listForRun(
  run: DeliveryRun<DicomwebTarget>,
  http: HttpConnection,
  options: { readonly fresh?: boolean } = {},
): Promise<ReadonlySet<string>> {
  const { studyInstanceUid } = run.study;
  return listedBy(run, { studyInstanceUid }, () => listStudy(http, run.config, studyInstanceUid, run.signal), options);
}

/**
 * Waits until the service lists what it was sent: some store first and index later. What is missing is asked for afresh.
 *
 * @returns those that it does not list when the time is over
 */
export async function missingAfterWait(
  list: (options: { readonly fresh: boolean }) => Promise<ReadonlySet<string>>,
  wanted: readonly ManifestInstance[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ManifestInstance[]> {
  const endMs = performance.now() + timeoutMs;
  let isFirst = true;
  for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 5000)) {
    const listed = await list({ fresh: !isFirst });
    isFirst = false;
    const missing = wanted.filter(({ sopInstanceUid }) => !listed.has(sopInstanceUid));
    const leftMs = endMs - performance.now();
    if (missing.length === 0 || leftMs <= 0) return missing;
    await pause(Math.min(waitMs, leftMs), undefined, { signal }).catch(() => {
      throw cancelledError(signal);
    });
  }
}
