import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { passwordProblem } from '@dicom-dispatch/core';
import { CommandError, exitCodes } from '../exit.ts';

/** Reads one line; input on a terminal is not shown. */
export async function readPassword(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('password: ');
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: process.stdin.isTTY });
  const { promise, resolve } = Promise.withResolvers<string>();
  lines.once('line', resolve);
  lines.once('close', () => resolve(''));
  const password = await promise;
  lines.close();
  if (process.stdin.isTTY) process.stderr.write('\n');
  const problem = passwordProblem(password);
  if (problem !== undefined) throw new CommandError(`the password ${problem}`, exitCodes.usage);
  return password;
}
