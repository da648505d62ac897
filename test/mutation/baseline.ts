import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import { type Hits, hooksOf, nameOf, switches, type Task } from './switches.ts';

/** What `baseline.json` lists: all tests, run once without a mutant. */
export interface Baseline {
  readonly files: readonly TestFile[];
  /** Mutants in code that runs when a module is loaded. */
  readonly atLoad: Hits;
}

export interface TestFile {
  /** Relative to the repository. */
  readonly path: string;
  readonly tests: readonly {
    readonly name: string;
    readonly hits: Hits;
    readonly isPassed: boolean;
    readonly ms: number;
  }[];
  /** Reached by hooks, and between tests. */
  readonly hooks: Hits;
  readonly ms: number;
}

const folder = process.env['MUTATION_FOLDER'] ?? '';
const paths = JSON.parse(readFileSync(join(folder, 'tests.json'), 'utf8')) as string[];
const files: TestFile[] = [];
let atLoad: Hits = {};

for (const path of paths) {
  describe(`file ${path}`, async () => {
    const tests: TestFile['tests'][number][] = [];
    let began = 0;
    let testBegan = 0;
    beforeAll(() => {
      began = performance.now();
      switches.currentTestId = hooksOf(path);
    });
    beforeEach(({ task }) => {
      testBegan = performance.now();
      switches.currentTestId = `${path} ${nameOf(task as Task)}`;
    });
    afterEach(({ task }) => {
      const name = nameOf(task as Task);
      const hits = { ...switches.mutantCoverage?.perTest[`${path} ${name}`] };
      const isPassed = (task as Task).result?.state !== 'fail';
      tests.push({ name, hits, isPassed, ms: performance.now() - testBegan });
      switches.currentTestId = hooksOf(path);
      // Shows that there is progress.
      writeFileSync(join(folder, 'progress.json'), '{}');
    });
    afterAll(() => {
      const hooks = { ...switches.mutantCoverage?.perTest[hooksOf(path)] };
      files.push({ path, tests, hooks, ms: performance.now() - began });
    });
    describe('tests', async () => {
      await import(/* @vite-ignore */ `${resolve(path)}?mutant=none`);
      atLoad = { ...switches.mutantCoverage?.static };
    });
  });
}

describe('end', async () => {
  afterAll(() => writeFileSync(join(folder, 'baseline.json'), JSON.stringify({ files, atLoad } satisfies Baseline)));
  const { test } = await import('vitest');
  test('the results are written', () => {});
});
