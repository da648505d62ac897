import { createInterface } from 'node:readline/promises';
import { CommandError, exitCodes } from '../exit.ts';

/**
 * Asks on a terminal whether something is to be done.
 *
 * @param what - what it would do, without a stop at its end
 * @throws CommandError when the answer is no, or nobody can be asked
 */
export async function confirm(what: string): Promise<void> {
  if (!process.stdin.isTTY) throw new CommandError(`${what}; use --yes to confirm`, exitCodes.usage);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${what}. Do it? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('nothing was done');
  } finally {
    lines.close();
  }
}
