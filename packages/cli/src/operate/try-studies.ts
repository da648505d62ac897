import { retryAfterSuccess, tryStudiesNow } from '@dicom-dispatch/operations';
import { findStudy } from './find-study.ts';
import { withSystem } from './with-system.ts';

interface Options {
  readonly config: string;
  readonly json?: boolean;
}

/** Retries now the studies of a source that could not be read. */
export async function tryStudiesOf(source: string, study: string | undefined, options: Options): Promise<void> {
  await withSystem(options.config, async ({ operations, audited }) => {
    const subject = study === undefined ? source : `${source} ${study}`;
    const tried = await audited({ action: 'try studies', subject }, () => tryStudiesNow(operations, source, study));
    if (options.json === true) console.log(JSON.stringify({ source, tried }));
    else console.log(`${tried} ${tried === 1 ? 'study' : 'studies'} of ${source} tried now`);
  });
}

/** Retries the actions in the source after success now. */
export async function afterSuccessNow(id: string, options: Options): Promise<void> {
  await withSystem(options.config, async (system) => {
    const study = await findStudy(system, id);
    const subject = `${study.source} ${study.orthancStudyId}`;
    const tried = await system.audited({ action: 'retry after success', subject }, () =>
      retryAfterSuccess(system.operations, study),
    );
    if (options.json === true) console.log(JSON.stringify({ source: study.source, tried }));
    else console.log(`the actions in ${study.source} are retried now`);
  });
}
