import { expect, it } from 'vitest';
import { DataSetWalker, NoDataSet } from './data-set-walker.ts';
import { feedDataSet } from './feed-data-set.ts';

it('a deflated data set is not collected without limit', () => {
  const feed = feedDataSet(new DataSetWalker(() => {}));
  feed.begin({
    form: 'part10',
    hasRightLength: true,
    dataSetAt: 0,
    meta: { transferSyntaxUid: '1.2.840.10008.1.2.1.99' },
    dataSet: { isWhole: true },
  });
  const chunk = Buffer.alloc(8e6);
  for (let count = 0; count < 8; count += 1) feed.add(chunk);
  let thrown: unknown;
  try {
    feed.add(chunk);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(NoDataSet);
  expect(thrown).toMatchObject({ isCut: false, message: 'the deflated data set is too long to be inflated' });
});
