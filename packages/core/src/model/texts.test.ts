import { describe, expect, it } from 'vitest';
import {
  csvLine,
  hasPixelData,
  isCompressed,
  isLossySyntax,
  namedMap,
  printable,
  targetOfQueue,
  targetQueue,
} from '../index.ts';

describe('a line of CSV', () => {
  it('has its cells quoted where they need it, and an end', () => {
    expect(csvLine(['a', 1, undefined, 'b c'])).toBe('a,1,,b c\r\n');
    expect(csvLine(['a,b', 'say "x"', 'two\nlines', 'two\rlines'])).toBe(
      '"a,b","say ""x""","two\nlines","two\rlines"\r\n',
    );
    expect(csvLine([])).toBe('\r\n');
  });

  it.each(['=1', '+1', '-1', '@x', '\tx', '＝1', '＋1', '－1', '＠x'])('%j is no formula for a spreadsheet', (text) => {
    expect(csvLine([text])).toBe(`'${text}\r\n`);
  });

  it('leaves such characters alone within a cell', () => {
    expect(csvLine(['a=1', 'b-2'])).toBe('a=1,b-2\r\n');
    expect(csvLine(['\r=1'])).toBe('"\'\r=1"\r\n');
  });
});

it('a text shows control characters and marks of direction, and all others as they are', () => {
  expect(printable('a\tb\nc\rd Müller 佐藤')).toBe('a\tb\nc\rd Müller 佐藤');
  expect(printable('\u001b[31mred')).toBe('\\u001b[31mred');
  expect(printable('a\u202eb\u0000\u2028\ufeff')).toBe('a\\u202eb\\u0000\\u2028\\ufeff');
});

describe('an instance', () => {
  const ct = '1.2.840.10008.5.1.4.1.1.2';
  const implicit = '1.2.840.10008.1.2';

  it.each([
    ['a CT image', ct, true],
    ['one of an unknown class', undefined, true],
    ['an enhanced CT image', '1.2.840.10008.5.1.4.1.1.2.1', true],
    ['a segmentation', '1.2.840.10008.5.1.4.1.1.66.4', true],
    ['an RT dose', '1.2.840.10008.5.1.4.1.1.481.2', true],
    ['a structured report', '1.2.840.10008.5.1.4.1.1.88.33', false],
    ['a presentation state', '1.2.840.10008.5.1.4.1.1.11.1', false],
    ['an encapsulated PDF', '1.2.840.10008.5.1.4.1.1.104.1', false],
    ['raw data', '1.2.840.10008.5.1.4.1.1.66', false],
    ['an RT plan', '1.2.840.10008.5.1.4.1.1.481.5', false],
    ['MR spectroscopy', '1.2.840.10008.5.1.4.1.1.4.2', false],
    ['a hanging protocol', '1.2.840.10008.5.1.4.38.1', false],
  ])('%s: whether it has pixel data', (_name, sopClassUid, expected) => {
    expect(hasPixelData({ sopClassUid, transferSyntaxUid: implicit })).toBe(expected);
    expect(hasPixelData({ sopClassUid, transferSyntaxUid: undefined })).toBe(expected);
  });

  it('has pixel data if these are compressed', () => {
    const report = '1.2.840.10008.5.1.4.1.1.88.33';
    expect(hasPixelData({ sopClassUid: report, transferSyntaxUid: '1.2.840.10008.1.2.4.90' })).toBe(true);
    for (const native of [implicit, '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.1.99', '1.2.840.10008.1.2.2', undefined])
      expect(isCompressed(native), native).toBe(false);
    expect(isCompressed('1.2.840.10008.1.2.5')).toBe(true);
  });

  it('is another one after a lossy compression only', () => {
    const of = (last: number): boolean => isLossySyntax(`1.2.840.10008.1.2.4.${last}`);
    expect([50, 51, 81, 91, 203].every(of)).toBe(true);
    expect([57, 70, 80, 90, 201].some(of)).toBe(false);
    expect(isLossySyntax('1.2.840.10008.1.2.1')).toBe(false);
    expect(isLossySyntax('1.2.840.10008.1.2.5.50')).toBe(false);
  });
});

it('a map of names has no properties but them', () => {
  const map = namedMap({ a: 1 });
  expect({ ...map }).toEqual({ a: 1 });
  expect(map['constructor']).toBeUndefined();
});

it('a queue names its target, and the queue of studies none', () => {
  expect(targetOfQueue(targetQueue('pacs'))).toBe('pacs');
  expect(targetQueue('pacs')).toBe('target-pacs');
  expect(targetOfQueue('study')).toBeUndefined();
});
