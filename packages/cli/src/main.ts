import { createProgram } from './create-program.ts';
import { reportFailure } from './exit.ts';
import { guardTerminal } from './guard-terminal.ts';

guardTerminal();
// The reader of the output may stop early, like `head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});
try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
