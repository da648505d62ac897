import { answerLoss } from '@dicom-dispatch/operations';
import { withSystem } from './with-system.ts';

/** Says where sources begin of which nothing is known after Redis lost its data. */
export async function recoverNow(options: {
  readonly config: string;
  readonly from: string;
  readonly source?: string;
}): Promise<void> {
  await withSystem(options.config, async ({ operations, audited }) => {
    const { from, source } = options;
    await audited({ action: 'recover', subject: source ?? '' }, () => answerLoss(operations, from, source));
    console.log(
      `the router begins ${source === undefined ? 'all sources of which nothing is known' : source} from ${from}`,
    );
  });
}
