import type { Association } from '../association/association.ts';
import type { Priority } from '../dimse/command-set.ts';
import type { DimseStatus } from '../dimse/status.ts';
import { DimseError } from '../errors/dimse-error.ts';
import { dataSet, decodeDataSet } from './codec.ts';
import type { DataSet } from './codec.ts';

export interface FindDataSetsRequest {
  /** The information model, e.g. `UID.studyRootFind`. */
  readonly sopClassUid: string;
  readonly query: DataSet;
  readonly priority?: Priority | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * C-FIND with data sets by keyword; each match as it comes.
 *
 * @throws DimseError `unexpected-response` where the final status is a failure, and what `Association.find` throws.
 */
export async function* findDataSets(
  association: Association,
  request: FindDataSetsRequest,
): AsyncGenerator<DataSet, DimseStatus, void> {
  const { query, ...rest } = request;
  const matches = association.find({ ...rest, identifier: dataSet(query) });
  let isDone = false;
  try {
    for (;;) {
      const step = await matches.next();
      if (step.done === true) {
        isDone = true;
        const { value } = step;
        if (value.class !== 'failure') return value;
        const code = value.status.toString(16).toUpperCase().padStart(4, '0');
        throw new DimseError('unexpected-response', `the C-FIND failed with status ${code}: ${value.text}`);
      }
      yield await decodeDataSet(step.value);
    }
  } finally {
    if (!isDone) await matches.return({ status: 0xfe00, class: 'cancel', text: '' });
  }
}
