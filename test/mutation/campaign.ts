import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe } from 'vitest';

/** The input, `campaign.json`. */
export interface Campaign {
  /** Mutants to try, in this order. */
  readonly ids: readonly string[];
  /** Paths of test files. */
  readonly tests: readonly string[];
  /** Found out in an earlier process. */
  readonly detected: readonly string[];
}

/** The output, `progress.json`, written after each test. */
export interface Progress {
  readonly results: Record<string, 'detected' | 'survived'>;
  /** The mutant that is switched on. */
  readonly current: string | undefined;
  /** Mutants that a test has reached. */
  readonly hits: Record<string, true>;
  /** Mutants that were reached when a module was loaded. */
  readonly atLoad: Record<string, number>;
  /** The test that fails without a mutant. */
  readonly failed: string | undefined;
}

/** A copy of this file is a test file itself: it registers all tests once for each mutant. */
interface Switches {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  hitCount?: number;
  hitLimit?: number;
  mutantCoverage?: {
    readonly static: Record<string, number>;
    readonly perTest: Record<string, Record<string, number>>;
  };
}

interface Task {
  readonly name: string;
  readonly suite?: Task & { readonly tasks: readonly unknown[] };
  readonly result?: { readonly state?: string };
}

const { ids, tests, detected } = JSON.parse(readFileSync('campaign.json', 'utf8')) as Campaign;
const switches = ((globalThis as { __stryker__?: Switches }).__stryker__ ??= {});
const results: Progress['results'] = Object.fromEntries(detected.map((id) => [id, 'detected'] as const));
const hits: Progress['hits'] = {};
let current: string | undefined;
let failed: string | undefined;

function write(): void {
  const atLoad = switches.mutantCoverage?.static ?? {};
  writeFileSync('progress.new', JSON.stringify({ results, current, hits, atLoad, failed } satisfies Progress));
  renameSync('progress.new', 'progress.json');
}

/** Name and place of a test within its files, the same for each mutant. */
function nameOf(task: Task): string {
  const names: string[] = [];
  for (let each: Task | undefined = task; each && !each.name.startsWith('mutant '); each = each.suite)
    names.unshift(each.name);
  return `${names.join(' > ')} #${task.suite?.tasks.indexOf(task)}`;
}

/** The modules under test are loaded once; only the test files are read again. */
async function registerTests(id: string): Promise<void> {
  for (const test of tests) await import(/* @vite-ignore */ `./${test}?mutant=${id}`);
}

/** The mutants that each test reaches, and how often. */
const reached = new Map<string, Record<string, number>>();

describe('mutant none', async () => {
  beforeEach(({ task }) => {
    switches.activeMutant = undefined;
    switches.currentTestId = nameOf(task as Task);
  });
  afterEach(({ task }) => {
    const name = nameOf(task as Task);
    const found = { ...switches.mutantCoverage?.perTest[name] };
    reached.set(name, found);
    for (const id of Object.keys(found)) hits[id] = true;
    switches.currentTestId = undefined;
    if (task.result?.state === 'fail') failed ??= `without a mutant this test fails: ${name}`;
    write();
  });
  await registerTests('none');
});

for (const id of ids) {
  describe(`mutant ${id}`, async () => {
    beforeEach(({ task, skip }) => {
      switches.activeMutant = undefined;
      const count = reached.get(nameOf(task as Task))?.[id] ?? 0;
      if (count === 0 || results[id] === 'detected' || failed !== undefined) skip();
      results[id] = 'survived';
      // An endless loop ends with an error.
      switches.hitCount = 0;
      switches.hitLimit = 100 * count + 1_000;
      if (current !== id) {
        current = id;
        write();
      }
      switches.activeMutant = id;
    });
    afterEach(({ task }) => {
      switches.activeMutant = undefined;
      if (task.result?.state === 'fail') results[id] = 'detected';
      write();
    });
    await registerTests(id);
  });
}

describe('mutant none, again', async () => {
  beforeEach(() => {
    switches.activeMutant = undefined;
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail')
      failed ??= `after the mutants this test fails: ${nameOf(task as Task)}; what one of them left has changed later results`;
    write();
  });
  await registerTests('again');
});
