import { describe, expect, it } from 'vitest';
import { isPasswordHash, passwordProblem } from './password-rules.ts';

describe('a password', () => {
  it.each([
    ['four words together', undefined],
    ['exactly 15 char', undefined],
    ['only 14 chars.', 'has 14 characters: use at least 15, e.g. four words'],
    // Characters as people count them: composed, and those beyond 16 bits as one.
    ['ééééééé', 'has 7 characters: use at least 15, e.g. four words'],
    ['😀😃😄😁😆😅😂🤣😊😇🙂🙃😉😌', 'has 14 characters: use at least 15, e.g. four words'],
    [`${'long word '.repeat(102)}long`, undefined],
    [`${'long word '.repeat(102)}longer`, 'is longer than 1024 characters'],
  ])('%j is judged by its length', (password, expected) => {
    expect(passwordProblem(password)).toBe(expected);
  });

  it.each(['a'.repeat(20), 'ABABABABABABABABAB', 'abcabcabcabcabcabc', 'wxyzwxyzwxyzwxyzw', 'aabbccddaabbccddad'])(
    '%s repeats a few characters',
    (password) => {
      expect(passwordProblem(password)).toBe('repeats a few characters: use another');
    },
  );

  it('may repeat five characters or more', () => {
    expect(passwordProblem('vgtkevgtkevgtkevgtke')).toBeUndefined();
  });

  it.each([
    'abcdefghijklmnop',
    'zyxwvutsrqponmlk',
    'QWERTYUIOPASDFGH',
    'qwertzuiopasdfghjkl',
    'poiuytrewqlkjhgfdsa',
    '01234567890qwert',
    'abcdqwer1234zyxw',
  ])('%s is a row of the keyboard', (password) => {
    expect(passwordProblem(password)).toBe('is a row of the keyboard or of the alphabet: use another');
  });

  it.each(['abcdefghijklmnopx7', 'qwertzy horse radish', 'abcuvwjklfghxyzrst'])('%s is not only rows', (password) => {
    expect(passwordProblem(password)).toBeUndefined();
  });

  it.each([
    'password-password',
    'Administrator2024',
    'letmein welcome 1',
    'HospitalRadiology',
    'pacs.orthanc.dicom',
    'MasterDragonMonkey',
  ])('%s consists of common words', (password) => {
    expect(passwordProblem(password)).toBe('consists of common words: use others');
  });

  it('may not consist of the name of its user, unless that is too short to matter', () => {
    expect(passwordProblem('Annabell Annabell', 'annabell')).toBe('consists of common words: use others');
    expect(passwordProblem('Annabell Annabell', 'ANNABELL')).toBe('consists of common words: use others');
    expect(passwordProblem('Annabell Annabell', 'berta')).toBeUndefined();
    expect(passwordProblem('Eve Password 2024', 'eve')).toBe('consists of common words: use others');
    expect(passwordProblem('Ed Password xq Ed', 'ed')).toBeUndefined();
  });

  it('may have common words beside others, or enough digits', () => {
    expect(passwordProblem('password of hens')).toBeUndefined();
    expect(passwordProblem('password48151623')).toBeUndefined();
    expect(passwordProblem('password4815162!')).toBeUndefined();
    expect(passwordProblem('password-4815-')).toBe('has 14 characters: use at least 15, e.g. four words');
    expect(passwordProblem('administrator-48')).toBe('consists of common words: use others');
  });
});

describe('a hash of a password', () => {
  const salt = 'A'.repeat(22);
  const key = 'b'.repeat(43);

  it('has the form of scrypt', () => {
    expect(isPasswordHash(`scrypt:32768:8:1:${salt}:${key}`)).toBe(true);
    expect(isPasswordHash(`scrypt:1:1:1:${'A'.repeat(16)}:${key}`)).toBe(true);
    expect(isPasswordHash(`scrypt:12345678:123:123:${'-_'.repeat(64)}:${key}`)).toBe(true);
  });

  it.each([
    `x scrypt:32768:8:1:${salt}:${key}`,
    `scrypt:32768:8:1:${salt}:${key}b`,
    `scrypt:32768:8:1:${salt}:${key} `,
    `scrypt:123456789:8:1:${salt}:${key}`,
    `scrypt:32768:1234:1:${salt}:${key}`,
    `scrypt:32768:8:1234:${salt}:${key}`,
    `scrypt:32768:8:1:${'A'.repeat(15)}:${key}`,
    `scrypt:32768:8:1:${'A'.repeat(129)}:${key}`,
    `scrypt:32768:8:1:${salt}:${'b'.repeat(42)}`,
    `scrypt:32768:8:1:${salt}:${'!'.repeat(43)}`,
    `scrypt:32768:8:${salt}:${key}`,
    'correct horse battery staple',
  ])('%s is none', (text) => {
    expect(isPasswordHash(text)).toBe(false);
  });
});
