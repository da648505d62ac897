import type { Config, PlannedDelivery } from '@dicom-dispatch/core';
import { lookForPriors } from '@dicom-dispatch/pipeline';
import type { OrthancClient } from '@dicom-dispatch/sources';
import type { LookedAtPrior } from '@dicom-dispatch/state/priors';

/** Earlier studies that would be sent with a study. No patient data. */
export interface ForeseenPriors {
  readonly chosen: readonly Pick<LookedAtPrior, 'studyInstanceUid' | 'from' | 'why'>[];
  /** Why there are none, or which archive was not queried. */
  readonly note?: string;
}

export interface ForeseePriorsSearch {
  readonly config: Config;
  readonly orthanc: OrthancClient;
  readonly now: Date;
  /** Maximum duration of the search; afterwards the priors are unknown. */
  readonly withinMs: number;
}

export const foreseePriorsWithinMs = 10_000;

/**
 * The earlier studies of the patient that would be sent with a planned delivery; undefined if its rules request none. Queries
 * the source and the archives; nothing is pulled or written.
 *
 * @param study - `unfit`: studies that proved not to fit, when its priors were sent
 * @throws DispatchError if the source does not respond
 */
export async function foreseePriors(
  { config, orthanc, now, withinMs }: ForeseePriorsSearch,
  study: {
    readonly source: string;
    readonly orthancStudyId: string;
    readonly unfit?: readonly LookedAtPrior[] | undefined;
  },
  { priors: terms }: Pick<PlannedDelivery, 'priors'>,
): Promise<ForeseenPriors | undefined> {
  if (!terms) return undefined;
  const signal = AbortSignal.timeout(withinMs);
  try {
    const search = { config, orthanc, now, signal, withoutSilent: true };
    const { chosen, notes } = await lookForPriors(search, { ...study, terms });
    const shown = chosen.map(({ studyInstanceUid, from, why }) => ({ studyInstanceUid, from, why }));
    return { chosen: shown, ...(notes.length > 0 && { note: notes.join('; ') }) };
  } catch (error) {
    if (!signal.aborted) throw error;
    return { chosen: [], note: `source or archive did not answer within ${Math.ceil(withinMs / 1_000)} s` };
  }
}
