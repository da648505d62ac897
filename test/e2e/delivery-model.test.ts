import { it } from 'vitest';
import { runModel } from './support/model/run-model.ts';

/** Three hundred in all, side by side: most of the time of each is waiting for Redis. */
it('after any events in any order, an open delivery has a live job, a time, or an operator for whom it waits', async () => {
  await Promise.all(Array.from({ length: 4 }, () => runModel(75)));
});
