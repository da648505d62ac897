import { DispatchError } from '@dicom-dispatch/core';
import type { StudyTags } from '@dicom-dispatch/target-kit';
import { parseTemplate, renderTemplate } from '../template/index.ts';
import { runProgram } from './run-program.ts';
import type { RsyncTarget } from './schema.ts';

/**
 * Runs the command of the target, without a shell. Values of tags are cleaned as for paths, so that a value that begins with a
 * hyphen does not become an option.
 *
 * @throws {DispatchError} `finalize-failed`
 */
export async function runOnComplete(
  { command, args, timeout }: NonNullable<RsyncTarget['onComplete']>,
  study: StudyTags,
  signal: AbortSignal,
): Promise<void> {
  const over = AbortSignal.timeout(timeout);
  const words = args.map((text) => (text.includes('{') ? renderTemplate(parseTemplate(text), study, undefined) : text));
  let status: number | undefined;
  try {
    ({ status } = await runProgram(command, words, { signal: AbortSignal.any([signal, over]) }));
  } catch (thrown) {
    if (over.aborted) throw failed(command, `took longer than ${timeout / 1000} s`, thrown);
    if (signal.aborted) throw thrown;
    throw failed(command, 'cannot be started', thrown);
  }
  if (status !== 0) throw failed(command, `ended with ${status ?? 'a signal'}`);
}

function failed(command: string, how: string, cause?: unknown): DispatchError {
  return new DispatchError('finalize-failed', `the command ${command} ${how}`, {
    stage: 'finalize',
    remedy: 'All instances arrived. Run the command manually and check its output.',
    ...(cause !== undefined && { cause }),
  });
}
