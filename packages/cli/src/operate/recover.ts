import { formatDuration } from '@dicom-dispatch/core';
import { answerLoss, readLossReport, type LossReport } from '@dicom-dispatch/operations';
import { lossWords } from '@dicom-dispatch/runtime';
import { withSystem } from './with-system.ts';

export interface RecoverOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly from?: string;
  readonly source?: string;
}

/**
 * Says where sources begin of which nothing is known after Redis lost its data. Without `from`: shows what was lost last, and
 * what was done about it.
 */
export async function recoverNow(options: RecoverOptions): Promise<void> {
  await withSystem(options.config, async ({ operations, audited }) => {
    const { from, source } = options;
    if (from === undefined) {
      const report = await readLossReport(operations);
      console.log(options.json === true ? JSON.stringify(report) : wordsOf(report));
      return;
    }
    await audited({ action: 'recover', subject: source ?? '' }, () => answerLoss(operations, from, source));
    console.log(
      `the router begins ${source === undefined ? 'all sources of which nothing is known' : source} from ${from}`,
    );
  });
}

function wordsOf({ lost, asks, recovered }: LossReport): string {
  if (asks.length > 0) {
    return `nothing is known of what was routed from ${asks.join(', ')}: say where to begin, dispatch recover --from TIME`;
  }
  if (lost) return `${lossWords[lost.kind]}; noticed at ${time(lost.at)}. A router does that once it runs`;
  if (!recovered) return 'no loss of data is known';
  const { at, loss, notesAgeMs, sources } = recovered;
  const what = {
    gone: 'all data were lost',
    older: 'the data were of an earlier time',
    another: 'the data were others',
  };
  const notes =
    notesAgeMs === undefined
      ? 'without notes of a router'
      : `with notes ${formatDuration(notesAgeMs)} older than the loss`;
  return [
    `${what[loss]}; recovered at ${time(at)} ${notes}`,
    ...Object.entries(sources).map(([name, one]) => `  source ${name}: ${sourceWords(one)}`),
  ].join('\n');
}

type SourceReport = NonNullable<LossReport['recovered']>['sources'][string];

function sourceWords({ how, seq = 0, open, ended }: SourceReport): string {
  switch (how) {
    case 'notes': {
      const had = ended > 0 ? `, ${ended} deliveries had ended` : '';
      return `goes on at change ${seq} as the notes say; ${open} studies that had not arrived everywhere are routed again${had}`;
    }
    case 'kept':
      return `goes on at change ${seq}, where the data end; what was routed since is routed again, and what had arrived since is sent again`;
    case 'answered':
      return 'begins where an operator said; what had arrived since then is sent again';
    case 'new':
      return 'was not followed before';
  }
}

function time(at: number): string {
  return new Date(at).toISOString();
}
