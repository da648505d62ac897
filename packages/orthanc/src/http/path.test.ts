import { describe, expect, it } from 'vitest';

import { path, target } from './path.ts';

describe('path', () => {
  it('keeps values in their segment', () => {
    expect(path`/studies/${'a/../b?c#d e%'}/archive`).toBe('/studies/a%2F..%2Fb%3Fc%23d%20e%25/archive');
  });

  it.each(['', '.', '..'])('refuses %j', (value) => {
    expect(() => path`/studies/${value}`).toThrowError(expect.objectContaining({ code: 'bad-request' }));
  });
});

describe('target', () => {
  it('writes flags, values and nothing for what is absent', () => {
    expect(target('/x', { expand: true, since: 0, type: undefined, off: false, q: 'a&b' }).query).toBe(
      '?expand&since=0&q=a%26b',
    );
    expect(target('/x').query).toBe('');
  });
});
