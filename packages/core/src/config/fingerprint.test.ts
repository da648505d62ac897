import { describe, expect, it } from 'vitest';
import { fingerprint, Secret } from '../index.ts';

describe('a fingerprint', () => {
  it('is equal for equal content, in any order of the keys', () => {
    expect(fingerprint({ a: 1, b: { c: [1, 2], d: 'x' } })).toBe(fingerprint({ b: { d: 'x', c: [1, 2] }, a: 1 }));
    expect(fingerprint({ a: 1 })).toMatch(/^[0-9a-f]{16}$/);
    expect(fingerprint(undefined)).toMatch(/^[0-9a-f]{16}$/);
  });

  it('changes with any value, and with the order of a list', () => {
    const all = [{ a: 1 }, { a: 2 }, { a: '1' }, { a: null }, {}, { a: [1, 2] }, { a: [2, 1] }, { b: 1 }, undefined];
    expect(new Set(all.map(fingerprint)).size).toBe(all.length);
  });

  it('changes with a secret, although it shows none', () => {
    const of = (text: string): string => fingerprint({ password: new Secret(text) });
    expect(of('one')).toBe(of('one'));
    expect(of('one')).not.toBe(of('two'));
    expect(of('one')).not.toBe(fingerprint({ password: '[secret]' }));
  });
});
