/** What the instrumented code reads and writes. */
interface Switches {
  activeMutant?: string | undefined;
  /** Mutants that are reached are counted for this. */
  currentTestId?: string | undefined;
  hitCount?: number;
  /** Beyond it the active mutant throws an error: an endless loop ends. */
  hitLimit?: number;
  mutantCoverage?: {
    readonly static: Record<string, number>;
    readonly perTest: Record<string, Record<string, number>>;
  };
}

export interface Task {
  readonly name: string;
  readonly suite?: Task & { readonly tasks: readonly unknown[] };
  readonly result?: { readonly state?: string };
}

/** How often each mutant is reached, by its id. */
export type Hits = Readonly<Record<string, number>>;

export const switches = ((globalThis as { __stryker__?: Switches }).__stryker__ ??= {});

/** Counts for the hooks of a test file, and for what runs between its tests. */
export function hooksOf(file: string): string {
  return `${file} hooks`;
}

/** Name and place of a test within its file, the same each time that the file is read. */
export function nameOf(task: Task): string {
  const names: string[] = [];
  for (let each: Task | undefined = task; each && !each.name.startsWith('file '); each = each.suite)
    names.unshift(each.name);
  return `${names.join(' > ')} #${task.suite?.tasks.indexOf(task)}`;
}

/** Switches a mutant on, or all of them off. `hits`: how often it is reached without being on. */
export function switchOn(mutant: string | undefined, hits = 0): void {
  switches.hitCount = 0;
  switches.hitLimit = 100 * hits + 1_000;
  switches.activeMutant = mutant;
}
