import { expect, it } from 'vitest';
import { hostName } from '../index.ts';

it.each(['pacs', 'pacs.example', 'my_host', 'host-1', '192.0.2.1', '2001:db8::1', 'xn--mller-kva.example'])(
  '%j is a host',
  (text) => {
    expect(hostName.parse(text)).toBe(text);
  },
);

it.each([
  '',
  '-oProxyCommand=touch x',
  '-e',
  '--help',
  'https://pacs',
  'pacs/path',
  'a b',
  'a\nb',
  'a\0',
  'x'.repeat(254),
])('%j is no host: to ssh and rsync it could be an option', (text) => {
  const { error } = hostName.safeParse(text);
  expect(error?.message).toContain('not beginning with a hyphen');
});
