import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { tempFolder } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { createLogger } from './create-logger.ts';

async function logged(err: unknown): Promise<{ readonly text: string; readonly err: unknown }> {
  await using folder = await tempFolder('log');
  const file = join(folder.path, 'log');
  createLogger('test', { level: 'warn', format: 'json', file }).warn({ err }, 'failed');
  const text = await readFile(file, 'utf8');
  return { text, err: (JSON.parse(text) as { err: unknown }).err };
}

it('logs the code of what an error translates and not its text: a path may contain the name of a patient', async () => {
  const system = Object.assign(new Error("ENOSPC: no space left, write '/data/DOE^JOHN/1.dcm'"), { code: 'ENOSPC' });
  const program = new Error('rsync: mkstemp "/data/DOE^JOHN/.1.dcm" failed', { cause: system });
  const { text, err } = await logged(new DispatchError('target-full', 'the folder is full', { cause: program }));
  expect(text).not.toContain('DOE');
  expect(err).toMatchObject({
    message: 'the folder is full',
    code: 'target-full',
    cause: { type: 'Error', cause: { type: 'Error', code: 'ENOSPC' } },
  });
});

it('logs the text of errors of our own below others, and everything of an internal error', async () => {
  const inner = new DispatchError('source-unreachable', 'no connection', { cause: new Error('secret') });
  const { text, err } = await logged(new DispatchError('target-error', 'not compared', { cause: inner }));
  expect(err).toMatchObject({
    cause: { message: 'no connection', code: 'source-unreachable', cause: { type: 'Error' } },
  });
  expect(text).not.toContain('secret');
  const fault = await logged(new DispatchError('internal', 'a fault', { cause: new TypeError('x is undefined') }));
  expect(fault.err).toMatchObject({ cause: { message: 'x is undefined', stack: expect.any(String) } });
});
