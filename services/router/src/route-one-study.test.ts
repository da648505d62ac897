import { contentHash } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import { isPulledByMark } from './route-one-study.ts';

const manifest = [{ sopInstanceUid: '1.2.3.1', version: '1' }] as never;
const hash = contentHash(manifest);

/** Queries a study that is marked as pulled in its source. */
const isPulled = (record: object | undefined, value = hash): Promise<boolean> =>
  isPulledByMark(
    {
      source: 'main',
      orthanc: { studies: { metadataValue: async () => ({ value }) } },
      config: { rules: [{ priors: { from: 'archive' } }] },
      records: { study: async () => record },
    } as never,
    'o-1',
    manifest,
  );

it('a pulled study is recognised when its record was lost, or was restored from its deliveries', async () => {
  expect(await isPulled(undefined)).toBe(true);
  expect(await isPulled({ contentHash: hash, lastUpdate: undefined })).toBe(true);
  expect(await isPulled({ contentHash: 'another', lastUpdate: '20260101T000000' })).toBe(true);
  // The result of the rules is known.
  expect(await isPulled({ contentHash: hash, lastUpdate: '20260101T000000' })).toBe(false);
  expect(await isPulled(undefined, 'another')).toBe(false);
});
