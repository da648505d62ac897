import { expect, it } from 'vitest';
import { translateRsyncEnd } from './errors.ts';

const codeOf = (status: number, errors: string) => translateRsyncEnd({ status, errors }, 'server', 'Sending').code;

it.each([
  [23, 'rsync: write failed on "/srv/x": No space left on device (28)', 'target-full'],
  [23, 'rsync: [receiver] write: (28)', 'target-full'],
  [
    12,
    'rsync error: error in rsync protocol data stream (code 12) at io.c(28) [sender=3.2.7]',
    'target-connection-lost',
  ],
  [
    12,
    'rsync error: error in rsync protocol data stream (code 12) at io.c(122) [sender=3.2.7]',
    'target-connection-lost',
  ],
  [10, 'rsync error: error in socket IO (code 10) at clientserver.c(30) [sender=3.2.7]', 'target-connection-lost'],
])('status %i, %s: %s', (status, errors, code) => {
  expect(codeOf(status, errors)).toBe(code);
});

it('names a login shell that prints text, and programs without a common compression', () => {
  const shell = 'protocol version mismatch -- is your shell clean?\n(see the rsync manpage for an explanation)';
  const noisy = translateRsyncEnd({ status: 2, errors: shell }, 'server', 'Sending');
  expect(noisy).toMatchObject({ code: 'target-misconfigured', remedy: expect.stringContaining('.profile') });
  const choice = 'Failed to negotiate a compress choice.';
  const mute = translateRsyncEnd({ status: 4, errors: choice }, 'server', 'Sending');
  expect(mute).toMatchObject({ code: 'target-misconfigured', remedy: expect.stringContaining('compress') });
});
