import type { ManifestInstance } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import { runDelivery, type DeliveryDependencies } from './run-delivery.ts';

it('a study of which nothing is selected any more is not wanted, and not delivered', async () => {
  const entered: string[] = [];
  const instances = [{ sopInstanceUid: '1', seriesInstanceUid: 's', sourceId: '1', version: 'v' } as ManifestInstance];
  const dependencies = {
    data: { source: 'main', orthancStudyId: 'o', studyInstanceUid: '1', target: 'pacs', deliveryId: 'd' },
    ledgerName: 'pacs',
    source: {
      readStudy: async () => ({
        tags: { studyInstanceUid: '1', study: {}, series: new Map([['s', { SeriesDescription: 'Scout' }]]) },
      }),
      shareManifest: async () => ({ instances, isShared: false }),
    },
    resolve: async () => ({
      config: { type: 'dicom', instances: { exclude: ['Scout'] } },
      handler: { deliver: async () => void entered.push('deliver') },
    }),
    progress: { stage: 'manifest', enter: (stage: string) => void entered.push(stage) },
    complete: () => void entered.push('complete'),
    signal: new AbortController().signal,
  };
  await expect(runDelivery(dependencies as unknown as DeliveryDependencies)).rejects.toMatchObject({
    code: 'not-wanted',
    message: 'no instance of the study is selected for pacs: nothing was delivered',
    disposition: 'permanent',
  });
  expect(entered).toEqual(['resolve', 'manifest']);
});
