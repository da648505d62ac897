import { closeSync, openSync } from 'node:fs';
import { asDispatchError } from '@dicom-dispatch/core';
import { runProgram } from './run-program.ts';

/** Starts a program while this process cannot open further files, and again when it can. To be started with a low limit. */
const held: number[] = [];
try {
  for (;;) held.push(openSync('/dev/null', 'r'));
} catch {
  // No file handles are left.
}
const options = { signal: AbortSignal.timeout(60_000) };
const atLimit = await runProgram('true', [], options).catch((thrown: unknown) => asDispatchError(thrown).toRecord());
for (const file of held) closeSync(file);
process.stdout.write(JSON.stringify([atLimit, await runProgram('true', [], options)]));
