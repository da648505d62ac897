/**
 * Runs commands of the command line one after the other in one process, so that a test does not need one process per command:
 * reads lines of JSON arguments and writes for each a line `{code, out, err}`. Each command behaves as in a separate process
 * without a terminal; tests with real processes check that exit codes reach the shell.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { reportFailure } from '@dicom-dispatch/cli/exit';
import { createProgram } from '@dicom-dispatch/cli/program';

let out = '';
let err = '';
process.stdout.write = ((text: string) => {
  out += text;
  return true;
}) as typeof process.stdout.write;
process.stderr.write = ((text: string) => {
  err += text;
  return true;
}) as typeof process.stderr.write;

for await (const line of createInterface({ input: process.stdin })) {
  out = '';
  err = '';
  process.exitCode = undefined;
  try {
    await createProgram().parseAsync(JSON.parse(line) as string[], { from: 'user' });
  } catch (error) {
    process.exitCode = reportFailure(error);
  }
  writeSync(1, `${JSON.stringify({ code: process.exitCode ?? 0, out, err })}\n`);
}
process.exitCode = 0;
