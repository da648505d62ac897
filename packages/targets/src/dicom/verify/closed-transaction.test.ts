import { memoryMailbox } from '@dicom-dispatch/target-kit/testing';
import { expect, it } from 'vitest';
import { closedTransaction, noteContradiction } from './closed-transaction.ts';

const reference = (at: number) => ({ sopClassUid: '1.2', sopInstanceUid: `1.2.826.0.1.${at}` });
const failure = (at: number) => ({ ...reference(at), reason: 0x0112, text: 'No such object instance' });

it('of 1000 committed and 1000 failed instances no failure is taken for that of a committed one', async () => {
  const mailbox = memoryMailbox();
  const committed = Array.from({ length: 1000 }, (_, at) => reference(at));
  const failed = Array.from({ length: 1000 }, (_, at) => failure(1000 + at));
  const report = { transactionUid: '2.25.1', committed, failed };
  const asked = [...committed, ...failed].map(({ sopInstanceUid }) => sopInstanceUid);
  await mailbox.close('one', closedTransaction(report, asked, { deliveryId: 'd-1', aeTitle: 'ARCHIVE' }));
  expect(await noteContradiction(mailbox, 'one', report, 'ARCHIVE')).toBe(false);
  expect(mailbox.doubts).toEqual([]);

  const later = { ...report, failed: [...failed, failure(0), failure(999)] };
  expect(await noteContradiction(mailbox, 'one', later, 'ARCHIVE')).toBe(true);
  expect(await noteContradiction(mailbox, 'one', later, 'ARCHIVE')).toBe(false);
  expect(mailbox.doubts).toEqual([{ deliveryId: 'd-1', text: expect.stringContaining('for 2 instances to which') }]);
});
