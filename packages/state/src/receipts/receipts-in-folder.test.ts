import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder } from '@dicom-dispatch/harness';
import { expect, test } from 'vitest';
import { decodeEntry, encodeEntry } from './entry-text.ts';
import { longestAnswer } from './receipt-types.ts';
import { receiptsInFolder } from './index.ts';

const id = (number: number): string => `d-${String(number).padStart(20, '0')}`;
const day = (offset: number): string => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);

test('a receipt stays in the folder of its first day, and is replaced as a whole', async () => {
  await using folder = await tempFolder('receipts');
  const store = receiptsInFolder(folder.path, 'forever');
  expect(await store.read(id(1))).toBeUndefined();
  const firstDay = day(-3);
  await mkdir(join(folder.path, firstDay));
  await writeFile(join(folder.path, firstDay, `${id(1)}.receipt`), 'earlier');
  expect(String(await store.read(id(1)))).toBe('earlier');
  expect(await store.exchange(id(1), undefined, Buffer.from('later'))).toBe(true);
  expect(await store.exchange(id(2), undefined, Buffer.from('other'))).toBe(true);
  expect([String(await store.read(id(1))), String(await store.read(id(2)))]).toEqual(['later', 'other']);
  expect(await readdir(join(folder.path, firstDay))).toEqual([`${id(1)}.receipt`]);
  const today = (await readdir(folder.path)).find((name) => name !== firstDay) ?? '';
  expect(await readdir(join(folder.path, today))).toEqual([`${id(2)}.receipt`]);
  expect((await stat(join(folder.path, today, `${id(2)}.receipt`))).mode & 0o777).toBe(0o640);
  expect((await stat(join(folder.path, today))).mode & 0o777).toBe(0o750);
});

test('the folder is made with its first receipt, and what is no day in it is ignored', async () => {
  await using folder = await tempFolder('receipts');
  const path = join(folder.path, 'new', 'receipts');
  const store = receiptsInFolder(path, 1);
  expect(await store.prune()).toBe(0);
  await store.exchange(id(1), undefined, Buffer.from('one'));
  for (const name of ['2020-01-011', 'x2020-01-01', 'other']) {
    await mkdir(join(path, name));
    await writeFile(join(path, name, `${id(9)}.receipt`), 'no');
  }
  expect(await store.read(id(9))).toBeUndefined();
  expect(await store.prune()).toBe(0);
  expect((await readdir(path)).length).toBe(4);
});

test('a day is removed when the last of its receipts is older than the retention, never with `forever`', async () => {
  await using folder = await tempFolder('receipts');
  for (const name of ['2026-03-01', '2026-03-02', '2026-03-03', '2026-03-04']) await mkdir(join(folder.path, name));
  const now = Date.UTC(2026, 2, 5, 12);
  expect(await receiptsInFolder(folder.path, 'forever').prune(now)).toBe(0);
  const store = receiptsInFolder(folder.path, 2 * 86_400_000);
  // What was written at the end of 2 March is less than three days old.
  expect(await store.prune(now)).toBe(1);
  expect((await readdir(folder.path)).sort()).toEqual(['2026-03-02', '2026-03-03', '2026-03-04']);
  expect(await store.prune(now)).toBe(0);
});

test('a failed write leaves the former receipt and no partial file, and names the reason', async () => {
  await using folder = await tempFolder('receipts');
  const store = receiptsInFolder(folder.path, 'forever');
  const tomorrow = day(1);
  await store.exchange(id(1), undefined, Buffer.from('former'));
  const [today = ''] = await readdir(folder.path);
  // A folder in the place of the file cannot be replaced by a file. The day may end during the test.
  for (const name of [today, tomorrow]) await mkdir(join(folder.path, name, `${id(2)}.receipt`), { recursive: true });
  const fault = {
    code: 'ledger-unavailable',
    message: expect.stringContaining('the folder of receipts cannot be used ('),
  };
  await expect(store.exchange(id(2), undefined, Buffer.from('x'))).rejects.toMatchObject(fault);
  expect((await readdir(join(folder.path, today))).sort()).toEqual([`${id(1)}.receipt`, `${id(2)}.receipt`]);
  expect(String(await readFile(join(folder.path, today, `${id(1)}.receipt`)))).toBe('former');
  const file = join(folder.path, 'file');
  await writeFile(file, '');
  await expect(receiptsInFolder(file, 'forever').read(id(1))).rejects.toMatchObject(fault);
  for (const wrong of ['d-1', `x${id(1)}`, `${id(1)}0`, `${id(1)}/../x`, 'd-0000000000000000000G']) {
    await expect(store.read(wrong)).rejects.toMatchObject({
      code: 'ledger-unavailable',
      message: expect.stringContaining(`no id of a delivery: ${wrong}`),
    });
  }
});

test('an entry of a running delivery returns with its texts cut, and an unknown format counts as none', () => {
  const entry = {
    sopInstanceUid: '1.2',
    seriesInstanceUid: '1.3',
    sizeBytes: 0,
    sha256: 'ab'.repeat(32),
    at: 5,
    attempt: 2,
    answer: 'a'.repeat(longestAnswer + 1),
    place: 'p'.repeat(longestAnswer + 1),
  };
  const cut = { ...entry, answer: 'a'.repeat(longestAnswer), place: 'p'.repeat(longestAnswer) };
  expect(decodeEntry(encodeEntry(entry))).toEqual(cut);
  const bare = { ...cut, sizeBytes: undefined, sha256: undefined };
  expect(decodeEntry(encodeEntry(bare))).toEqual(bare);
  for (const text of ['', '{', 'null', '{}', '7']) expect(decodeEntry(text), text).toBeUndefined();
});
