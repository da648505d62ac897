import { afterAll, expect } from 'vitest';
import { commandOf, descendants } from './process-tree.ts';
import { waitFor } from './wait-for.ts';
import { watchdogPid, whatIsLeft } from './watchdog.ts';

/**
 * A setup file of Vitest: a test file fails if it leaves a server, a temporary folder, any child process or another environment
 * behind. This checks the tests and the tested code; the watchdog cleans up.
 */
const env = process.env;
const variables = { ...env };
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
  // Node itself reads the object of the process: a copy in its place would hide later changes from it.
  expect(process.env === env, 'process.env is the object that it was').toBe(true);
  // Names only: values may be secrets.
  const names = Object.keys({ ...variables, ...process.env });
  expect(names.filter((name) => variables[name] !== process.env[name])).toEqual([]);
});

function strayChildren(): string[] {
  return descendants(process.pid)
    .filter((pid) => !before.has(pid) && pid !== watchdogPid())
    .map((pid) => commandOf(pid))
    .filter((command) => command !== undefined);
}
