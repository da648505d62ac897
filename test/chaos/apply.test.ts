import { afterAll, beforeAll, expect, it } from 'vitest';
import { badVerdict, startApplyScene, type ApplyScene } from './apply/run-applies.ts';
import { startWholeScene } from './apply/whole-services.ts';

let scene: ApplyScene;
beforeAll(async () => {
  scene = await startApplyScene();
});
afterAll(() => scene?.[Symbol.asyncDispose]());

/** Seeds of the long run (`./dispatch chaos apply`). */
it.each([1, 4, 6, 8, 14, 20])(
  'a process is killed while a change is applied, seed %i: all services use the same version in the end',
  async (seed) => {
    const verdict = await scene.run(seed);
    expect([badVerdict(verdict), verdict]).toEqual([undefined, verdict]);
  },
);

it('a complete router, dispatcher or console is killed while a change is applied: all use the same version in the end', async () => {
  await using whole = await startWholeScene();
  for (const seed of [8, 9]) {
    const verdict = await whole.run(seed);
    expect([badVerdict(verdict), verdict]).toEqual([undefined, verdict]);
  }
});
