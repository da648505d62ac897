import { it } from 'vitest';
import { runModel } from './support/model/run-model.ts';

it('whatever happens in whatever order, an open delivery has a live job, a time, or a person it waits for', async () => {
  await runModel(300);
});
