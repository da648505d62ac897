import { expect, it } from 'vitest';
import { isNoSuchFile, translateSftpError } from './errors.ts';

it.each([
  [10, 'target-misconfigured'],
  [12, 'target-misconfigured'],
  [14, 'target-full'],
  [15, 'target-full'],
  [16, 'target-error'],
])('status %i of a later version is %s', (code, expected) => {
  const error = Object.assign(new Error('of the server'), { code });
  expect(translateSftpError(error, 'server', 'Writing')).toMatchObject({ code: expected });
  expect(isNoSuchFile(error)).toBe(code === 10);
});
