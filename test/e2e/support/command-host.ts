/**
 * Runs commands of the command line one after the other in one process, so that a test need not start a process for each:
 * reads lines of JSON arguments, answers each with a line `{code, out, err}`. What a command sees is what it would see in
 * a process of its own without a terminal; that exit codes reach the shell is tested with real processes.
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
