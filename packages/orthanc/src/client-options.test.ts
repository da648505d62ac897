import { describe, expect, it } from 'vitest';

import { resolveOptions } from './client-options.ts';
import type { OrthancClientOptions } from './client-options.ts';

describe('resolveOptions', () => {
  it('parses the URL', () => {
    expect(resolveOptions({ url: 'https://pacs.example/orthanc/' })).toMatchObject({
      secure: true,
      hostname: 'pacs.example',
      port: 443,
      host: 'pacs.example',
      prefix: '/orthanc',
      origin: 'https://pacs.example',
    });
    expect(resolveOptions({ url: 'http://[::1]:8042' })).toMatchObject({ hostname: '::1', port: 8042, prefix: '' });
  });

  it('accepts credentials from options, from the URL, or a token', () => {
    const basic = `Basic ${Buffer.from('anna:p@ss:w').toString('base64')}`;
    expect(resolveOptions({ url: 'http://x', username: 'anna', password: 'p@ss:w' }).headers).toEqual({
      authorization: basic,
    });
    expect(resolveOptions({ url: 'http://anna:p%40ss%3Aw@x' }).headers).toEqual({ authorization: basic });
    expect(resolveOptions({ url: 'http://x', token: 'abc' }).headers).toEqual({ authorization: 'Bearer abc' });
    expect(resolveOptions({ url: 'http://anna:secret@x' }).origin).toBe('http://x');
  });

  it.each<{ option: string; options: OrthancClientOptions }>([
    { option: 'url', options: { url: 'ftp://x' } },
    { option: 'url', options: { url: 'not a url' } },
    { option: 'url', options: { url: 'http://anna:100%@x' } },
    { option: 'headers', options: { url: 'http://x', headers: { 'x-a': 'b\r\nx-c: d' } } },
    { option: 'headers', options: { url: 'http://x', headers: { 'x a': 'b' } } },
    { option: 'token', options: { url: 'http://x', token: 'a\nb' } },
    { option: 'username', options: { url: 'http://x', username: 'a:b', password: 'c' } },
    { option: 'timeoutMs', options: { url: 'http://x', timeoutMs: 0 } },
    { option: 'maxConnections', options: { url: 'http://x', maxConnections: 1.5 } },
  ])('names $option when it is wrong', ({ option, options }) => {
    expect(() => resolveOptions(options)).toThrowError(
      expect.objectContaining({ code: 'bad-request', message: expect.stringMatching(new RegExp(`^${option}`)) }),
    );
  });

  it('never shows secrets in its errors', () => {
    expect(() => resolveOptions({ url: 'ftp://anna:geheim@x' })).toThrowError(
      expect.objectContaining({ message: expect.not.stringContaining('geheim') }),
    );
  });
});
