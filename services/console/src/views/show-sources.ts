import { readSource } from '@dicom-dispatch/operations';
import type { ViewContext } from './view-context.ts';
import type { Source } from './schemas.ts';

export async function listSources(context: ViewContext): Promise<Source[]> {
  return Promise.all(
    Object.keys(context.config().sources).map(async (name) => {
      const state = await readSource(context.operations, name, (source) => context.lookup.client(source));
      return { ...state, putOff: state.putOff.map((one) => ({ ...one })) };
    }),
  );
}
