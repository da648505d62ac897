import { DispatchError, type Stage } from '@dicom-dispatch/core';
import { isDimseError, UID, type Association } from 'dicom-dimse';
import { findDataSets, type DataSet } from 'dicom-dimse/dataset';
import { cancelledError, until } from '@dicom-dispatch/target-kit/flow';
import { dicomError } from '../errors.ts';

/** A query with more matches is too wide. */
const maxMatches = 100_000;

/** Result of a query to a receiver. */
export interface Matches {
  readonly found: readonly DataSet[];
  /** Why there may be more than these; undefined if the receiver reports that these are all. */
  readonly cut: string | undefined;
}

/**
 * The matches of a query. They are collected before they are used, because the next query on this association must wait for the last
 * of them anyway. An archive that limits its results ends its list with FE00H, although that status is for cancelled queries.
 *
 * @throws DispatchError with this stage, `target-error` also if there are more than 100,000 matches
 */
export async function findMatches(
  association: Association,
  query: DataSet,
  signal: AbortSignal,
  stage: Stage = 'transfer',
): Promise<Matches> {
  const found: DataSet[] = [];
  const gather = async (): Promise<void> => {
    for await (const match of findDataSets(association, { sopClassUid: UID.studyRootFind, query, signal })) {
      found.push(match);
      if (found.length <= maxMatches) continue;
      throw new DispatchError('target-error', `more than ${maxMatches} matches: narrow the search`, { stage });
    }
  };
  try {
    await until(gather(), signal);
    return { found, cut: undefined };
  } catch (error) {
    if (signal.aborted) throw cancelledError(signal);
    if (isDimseError(error, 'answer-cut')) return { found, cut: error.message };
    throw dicomError(error, stage);
  }
}
