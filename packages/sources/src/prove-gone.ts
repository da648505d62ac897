import { setTimeout as sleep } from 'node:timers/promises';
import { DispatchError } from '@dicom-dispatch/core';
import { judgeDatabase, type SeenChange } from './judge-database.ts';
import type { OrthancClient } from './open-source.ts';
import { sourceError } from './source-error.ts';

/** How long the study must be missing: if the database is certainly the one that had it, and if this is unknown. */
const pauseMs = { same: 3_000, unknown: 15_000 } as const;
const lookEveryMs = 3_000;

/**
 * Verifies that a study has left its source: Orthanc itself reports this in repeated checks over some seconds, and its
 * database is not known to be another one than that which had the study.
 *
 * @param seen - changes of the database that had the study, newest first
 * @returns `source-gone` if it is proven; otherwise the error of the source, to be tried again
 */
export async function proveGone(
  orthanc: OrthancClient,
  study: { readonly source: string; readonly orthancStudyId: string },
  seen: readonly SeenChange[],
  signal: AbortSignal,
): Promise<unknown> {
  const { source, orthancStudyId } = study;
  try {
    let leftMs: number | undefined;
    for (;;) {
      const verdict = await judgeDatabase(orthanc, seen, { signal });
      if (verdict === 'another') return otherDatabase(source);
      if (await orthanc.studies.exists(orthancStudyId, { signal })) return isBack(source);
      leftMs = leftMs === undefined ? pauseMs[verdict] : Math.min(leftMs - lookEveryMs, pauseMs[verdict]);
      if (leftMs <= 0) break;
      await sleep(Math.min(leftMs, lookEveryMs), undefined, { signal });
    }
  } catch (error) {
    return sourceError(error, source, 'manifest');
  }
  return new DispatchError('source-gone', `source ${source}: the study no longer exists`, { stage: 'manifest' });
}

export function otherDatabase(source: string): DispatchError {
  return new DispatchError(
    'source-error',
    `source ${source} has another database than the one that had the study, so its answer does not prove that the study is gone`,
    {
      stage: 'manifest',
      remedy:
        'Check that the source Orthanc uses its own storage and database. The delivery is retried. If the previous database no longer exists, cancel the delivery.',
    },
  );
}

function isBack(source: string): DispatchError {
  return new DispatchError(
    'source-error',
    `source ${source} did not have the study for a short time, and has it again`,
    {
      stage: 'manifest',
      remedy: 'No action is needed. The delivery is retried.',
    },
  );
}
