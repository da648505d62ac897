import type { Association } from '../association/association.ts';
import type { Priority } from '../dimse/command-set.ts';
import type { DimseStatus } from '../dimse/status.ts';
import { hex } from '../operations/unexpected-response.ts';
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
 * C-FIND with data sets by keyword; each match as it arrives. Of a broken match, the elements before the error are returned,
 * so that it does not hide the others. If it returns without an error, it has returned all matches.
 *
 * @throws DimseError `answer-cut` after the last match if the final status is neither success nor failure (for example FE00H
 * without a cancel request, from archives that limit their results); `unexpected-response` for a failure; and errors of
 * `Association.find`.
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
        if (value.class === 'success') return value;
        const shown = `${hex(value.status)} (${value.text})`;
        if (value.class === 'failure') {
          throw new DimseError('unexpected-response', `the C-FIND failed with status ${shown}`);
        }
        throw new DimseError('answer-cut', `the peer ended its list with status ${shown}: the list may be incomplete`);
      }
      yield await decodeDataSet(step.value, { isLenient: true });
    }
  } finally {
    if (!isDone) await matches.return({ status: 0xfe00, class: 'cancel', text: '' });
  }
}
