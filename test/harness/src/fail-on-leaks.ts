import { afterAll } from 'vitest';
import { commandOf, descendants } from './process-tree.ts';
import { waitFor } from './wait-for.ts';
import { watchdogPid, whatIsLeft } from './watchdog.ts';

/**
 * A setup file of Vitest: a test file fails if it leaves a server, a temporary folder or any child process behind. This checks the
 * tests and the tested code; the watchdog cleans up.
 */
const before = new Set(descendants(process.pid));

afterAll(async () => {
  let left: string[] = [];
  await waitFor(
    () => {
      left = [...whatIsLeft(), ...strayChildren()];
      return left.length === 0;
    },
    {
      timeoutMs: 60_000,
      intervalMs: 50,
      message: () => `an end of: ${left.join('; ')}. Stop in the test what it starts`,
    },
  );
});

function strayChildren(): string[] {
  return descendants(process.pid)
    .filter((pid) => !before.has(pid) && pid !== watchdogPid())
    .map((pid) => commandOf(pid))
    .filter((command) => command !== undefined);
}
