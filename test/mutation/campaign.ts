import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, test, vi } from 'vitest';
import { nameOf, switchOn, type Task } from './switches.ts';

/** One mutant, with the tests that reach it, in `campaign.json`. */
export interface Trial {
  readonly id: string;
  readonly files: readonly {
    readonly path: string;
    /** How often each of these tests reaches the mutant. */
    readonly tests: Readonly<Record<string, number>>;
    /** How often the hooks reach it. */
    readonly hooks: number;
    /** A test that takes longer than this waits for something that the mutant prevents: detected. */
    readonly testTimeoutMs: number;
  }[];
  /** A mutant without progress for this time has stopped its process: detected. */
  readonly stalledMs: number;
}

/** The output, `progress.json`, written after each test. */
export interface Progress {
  readonly results: Record<string, 'detected' | 'survived'>;
  /** The mutant that is switched on. */
  readonly current: string | undefined;
  /** Tests that detected a mutant and fail without one afterwards. */
  readonly spoiled: readonly string[];
  readonly isComplete: boolean;
}

const folder = process.env['MUTATION_FOLDER'] ?? '';
const trials = JSON.parse(readFileSync(join(folder, 'campaign.json'), 'utf8')) as Trial[];
const results: Progress['results'] = {};
const detecting = new Map<string, Set<string>>();
const spoiled: string[] = [];
let current: string | undefined;

function write(isComplete = false): void {
  writeFileSync(
    join(folder, 'progress.new'),
    JSON.stringify({ results, current, spoiled, isComplete } satisfies Progress),
  );
  renameSync(join(folder, 'progress.new'), join(folder, 'progress.json'));
}

/** The modules under test are loaded once; only the test file is read again. */
async function registerTests(path: string, mark: string, timeoutMs: number): Promise<void> {
  vi.setConfig({ testTimeout: timeoutMs, hookTimeout: timeoutMs });
  await import(/* @vite-ignore */ `${resolve(path)}?mutant=${mark}`);
}

for (const { id, files } of trials) {
  for (const { path, tests, hooks, testTimeoutMs } of files) {
    describe(`file ${path} mutant ${id}`, () => {
      let isBegun = false;
      beforeAll(() => {
        // Then the hooks of the file need not run either.
        if (results[id] === 'detected') throw new Error('detected by another file');
        results[id] = 'survived';
        current = id;
        write();
        switchOn(id, hooks);
      });
      beforeEach(({ task, skip }) => {
        isBegun = true;
        const hits = tests[nameOf(task as Task)];
        if (hits === undefined || results[id] === 'detected') skip();
        switchOn(id, hits);
      });
      afterEach(({ task }) => {
        if ((task as Task).result?.state === 'fail') {
          results[id] = 'detected';
          detecting.set(path, (detecting.get(path) ?? new Set()).add(nameOf(task as Task)));
        }
        write();
        switchOn(id, hooks);
      });
      afterAll(() => {
        switchOn(undefined);
        if (current !== id) return;
        // A hook of the file failed, so that no test began.
        if (!isBegun && results[id] === 'survived') results[id] = 'detected';
        current = undefined;
        write();
      });
      describe('tests', () => registerTests(path, id, testTimeoutMs));
    });
  }
}

// What a mutant leaves behind must not have changed later results.
for (const path of new Set(trials.flatMap(({ files }) => files.map((file) => file.path)))) {
  describe(`file ${path} again`, () => {
    beforeAll(() => {
      if (!detecting.has(path)) throw new Error('nothing detected by this file');
    });
    beforeEach(({ task, skip }) => {
      if (!detecting.get(path)?.has(nameOf(task as Task))) skip();
    });
    afterEach(({ task }) => {
      if ((task as Task).result?.state === 'fail') spoiled.push(`${path} ${nameOf(task as Task)}`);
    });
    describe('tests', () => registerTests(path, 'again', 300_000));
  });
}

describe('end', () => {
  afterAll(() => write(true));
  test('the results are written', () => {});
});
