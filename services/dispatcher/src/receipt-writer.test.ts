import { createHash } from 'node:crypto';
import type { ManifestInstance } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import { ReceiptWriter } from './receipt-writer.ts';

const instance = { sourceId: 'i-1', sopInstanceUid: '1.2.3', seriesInstanceUid: '1.2' } as ManifestInstance;
const sent = Buffer.from('the bytes that are sent');
const facts = { sizeBytes: sent.length, sha256: createHash('sha256').update(sent).digest('hex') };
const writer = () => new ReceiptWriter({ enabled: true, digest: 'sha256' }, 'a place', 1);

it('contains the digest of the sent bytes if the instance was also opened for a comparison', () => {
  for (const compared of [1, 5, 2 * sent.length]) {
    const receipts = writer();
    const sending = receipts.opening(instance)!;
    const comparing = receipts.opening(instance)!;
    comparing.add(Buffer.alloc(compared), compared > sent.length);
    sending.add(sent.subarray(0, 7), false);
    sending.add(sent.subarray(7), true);
    expect(receipts.delivered(instance, 'stored', 5)).toMatchObject(facts);
  }
});

it('has the bytes that were compared, if they were at the target', () => {
  const receipts = writer();
  receipts.opening(instance);
  receipts.opening(instance)!.add(sent, true);
  expect(receipts.delivered(instance, 'there with the same content', 5)).toMatchObject(facts);
});

it('has neither size nor digest of bytes that were not all sent, nor of an earlier instance', () => {
  const receipts = writer();
  receipts.opening(instance)!.add(sent, false);
  const none = { sizeBytes: undefined, sha256: undefined };
  expect(receipts.delivered(instance, '', 5)).toMatchObject(none);
  receipts.opening(instance)!.add(sent, true);
  receipts.dropped(instance);
  expect(receipts.delivered(instance, '', 5)).toMatchObject(none);
});
