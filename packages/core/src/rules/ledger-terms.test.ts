import { expect, it } from 'vitest';
import { ledgerKeyOf, ledgerVersion, transformHash } from './ledger-terms.ts';

const study = { source: 'main', orthancStudyId: 'o-1', studyInstanceUid: '1.2', target: 'pacs' };
const transform = (definition: object) => ({ name: 'anon', definition }) as never;

it('confirmations are stored by study, place of the target and transform', () => {
  expect(ledgerKeyOf(study)).toEqual(study);
  expect(ledgerKeyOf({ ...study, ledger: undefined }).target).toBe('pacs');
  expect(ledgerKeyOf({ ...study, ledger: 'pacs~2' }).target).toBe('pacs~2');
  expect(ledgerKeyOf({ ...study, transform: transform({}) }).target).toBe('pacs+anon');
  expect(ledgerKeyOf({ ...study, ledger: 'pacs~2', transform: transform({}) }).target).toBe('pacs~2+anon');
});

it('an instance has another version with another transform, and if late instances send all again', () => {
  const version = (late: 'never' | 'difference' | 'all', definition?: object, contentHash = 'c1'): string =>
    ledgerVersion('v', { late, contentHash, transform: definition && transform(definition) });
  expect(version('difference')).toBe('v');
  expect(version('never')).toBe('v');
  expect(version('all')).toBe('v c1');
  expect(version('all', undefined, 'c2')).toBe('v c2');
  const hash = transformHash({ set: { A: '1' } });
  expect(version('difference', { set: { A: '1' } })).toBe(`v ${hash}`);
  expect(version('all', { set: { A: '1' } })).toBe(`v ${hash} c1`);
});

it('a transform has the same hash for any order of its keys and any description', () => {
  const hash = transformHash({ set: { A: '1', B: '2' }, remove: ['C', 'D'] });
  // In ledgers of former versions: with another one, everything would be sent again.
  expect(hash).toBe('72b46294dec3');
  expect(transformHash({ remove: ['C', 'D'], set: { B: '2', A: '1' } })).toBe(hash);
  expect(transformHash({ set: { A: '1', B: '2' }, remove: ['C', 'D'], description: 'x', keep: undefined })).toBe(hash);
  const others = [
    { set: { A: '1', B: '3' }, remove: ['C', 'D'] },
    { set: { A: '1', B: '2' }, remove: ['D', 'C'] },
    { set: { A: '1', B: '2' }, remove: ['C,D'] },
    { set: { A: '1', B: '2' }, remove: [] },
    { set: { A: '1', B: '2' }, remove: [null] },
    { set: { A: '1', B: '2' } },
    {},
  ].map((definition) => transformHash(definition));
  expect(new Set([...others, hash]).size).toBe(others.length + 1);
});
