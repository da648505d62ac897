import { afterAll, beforeAll, expect, it } from 'vitest';
import { startLiarScene, type LiarScene } from './liars/liar-scene.ts';
import { runLiars } from './liars/run-liars.ts';

let scene: LiarScene;

beforeAll(async () => {
  scene = await startLiarScene();
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
});

/** Three seeds of the long run (`./dispatch chaos liars`), which are in docs/reliability.md with their results. */
it.each([1, 2, 3])(
  'source and receivers give false responses, seed %i: nothing is falsely delivered, and everything arrives once they stop',
  async (seed) => {
    const verdict = await runLiars(seed, scene);
    expect(verdict, verdict.logs).toMatchObject({ falselyDelivered: 0, missing: 0, isQuiet: true });
  },
);
