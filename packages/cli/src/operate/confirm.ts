import { createInterface } from 'node:readline/promises';
import { CommandError, exitCodes } from '../exit.ts';

/**
 * Asks for confirmation on a terminal.
 *
 * @param what - the effect, without a full stop
 * @throws CommandError if the answer is no, or there is no terminal
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
