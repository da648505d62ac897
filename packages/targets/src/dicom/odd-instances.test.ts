import { DispatchError } from '@dicom-dispatch/core';
import { caseFile, leasePort, startStorescp } from '@dicom-dispatch/harness';
import { TRANSFER_SYNTAX } from 'dicom-dimse';
import { describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { fixtureStudy, receivedFiles, type FixtureStudy } from '../contract-suite/index.ts';
import type { ManifestInstance } from '@dicom-dispatch/target-kit';
import { dicomHandler } from './handler.ts';
import { dicomTarget } from './schema.ts';

const ct = '1.2.840.10008.5.1.4.1.1.2';

/** A study of two good instances and these files, with the data that an archive has of each. */
async function studyWith(
  odd: readonly (readonly [file: string, manifest: Partial<ManifestInstance>])[],
): Promise<FixtureStudy> {
  const good = fixtureStudy({ seed: 'odd', series: 1, instancesPerSeries: 2, rows: 8, columns: 8 });
  const [like] = good.instances;
  const more = await Promise.all(
    odd.map(async ([name, manifest], index) => {
      const bytes = await caseFile(name);
      return {
        ...like!,
        manifest: {
          ...like!.manifest,
          sopInstanceUid: `1.2.826.0.1.3680043.10.99.3.1.${index + 1}`,
          sopClassUid: ct,
          transferSyntaxUid: TRANSFER_SYNTAX.explicitVrLittleEndian,
          sizeBytes: bytes.length,
          sourceId: name,
          ...manifest,
        },
        read: () => [bytes],
      };
    }),
  );
  return { ...good, instances: [...more, ...good.instances] };
}

describe('files that an archive stores although PS3.10 does not allow them', () => {
  it('are delivered: the manifest has class, UID and transfer syntax', async () => {
    await using scp = await startStorescp();
    const study = await studyWith([
      ['no-meta.dcm', {}],
      ['no-preamble.dcm', {}],
      ['grouplen-small.dcm', {}],
    ]);
    const delivery = new TestDelivery(dicomHandler, study);
    const config = dicomTarget.parse({ type: 'dicom', host: scp.host, port: scp.port, calledAeTitle: scp.aet });
    expect((await delivery.attempt(config)).error).toBeUndefined();
    expect([...delivery.ledger.values()].map(({ kind }) => kind)).toEqual(Array.from({ length: 5 }, () => 'delivered'));
    const received = await receivedFiles(scp.receivedFolder);
    // Three files with one data set.
    const dataSet = await caseFile('no-meta.dcm');
    expect(received.length).toBe(5);
    expect(received.filter(({ sizeBytes }) => sizeBytes > dataSet.length && sizeBytes < 1000).length).toBe(3);
    expect(new Set(received.map(({ datasetDigest }) => datasetDigest)).size).toBe(3);
  });
});

describe('an instance that cannot be proposed', () => {
  const malformed: readonly (readonly [string, string, Partial<ManifestInstance>, string])[] = [
    ['SOP class', 'bad-sop-class.dcm', { sopClassUid: '1.2.840.GE.5' }, 'the SOP class UID 1.2.840.GE.5 is malformed'],
    [
      'transfer syntax',
      'bad-transfer-syntax.dcm',
      { transferSyntaxUid: '1.2.840.XX.1' },
      'the transfer syntax UID 1.2.840.XX.1 is malformed',
    ],
    ['SOP class that is empty', 'tiny-good.dcm', { sopClassUid: '' }, 'the SOP class UID is malformed'],
    ['SOP class of 65 digits', 'tiny-good.dcm', { sopClassUid: '1'.repeat(65) }, 'the SOP class UID is malformed'],
    ['SOP class that is a name', 'tiny-good.dcm', { sopClassUid: 'DOE^JANE' }, 'the SOP class UID is malformed'],
    ['SOP Instance UID', 'tiny-good.dcm', { sopInstanceUid: '' }, 'the SOP Instance UID is malformed'],
    ['SOP Instance UID with blanks', 'tiny-good.dcm', { sopInstanceUid: '1.2 3' }, 'the SOP Instance UID is malformed'],
  ];

  it.each(malformed)('for its %s is quarantined by name, the others arrive', async (_name, file, manifest, message) => {
    await using scp = await startStorescp();
    const delivery = new TestDelivery(dicomHandler, await studyWith([[file, manifest]]));
    const config = dicomTarget.parse({ type: 'dicom', host: scp.host, port: scp.port, calledAeTitle: scp.aet });
    const { error, opened } = await delivery.attempt(config);
    expect(error).toBeUndefined();
    const [odd, ...good] = delivery.study.instances.map((one) => one.manifest.sopInstanceUid);
    expect(delivery.ledger.get(odd!)).toMatchObject({
      kind: 'quarantined',
      error: { code: 'instance-unsupported', message: expect.stringContaining(message) },
    });
    expect(opened).toEqual(good);
    expect((await receivedFiles(scp.receivedFolder)).length).toBe(2);
  });

  it('is quarantined before the target is connected to, and does not affect the others', async () => {
    const lease = await leasePort();
    const config = dicomTarget.parse({ type: 'dicom', host: '127.0.0.1', port: lease.port, calledAeTitle: 'PACS' });
    const study = await studyWith([['bad-sop-class.dcm', { sopClassUid: '1.2.840.GE.5' }]]);
    const delivery = new TestDelivery(dicomHandler, study);
    expect((await delivery.attempt(config)).error).toMatchObject({ code: 'target-unreachable', stage: 'connect' });
    expect(delivery.pending.length).toBe(2);
    const alone = new TestDelivery(dicomHandler, { ...study, instances: study.instances.slice(0, 1) });
    const attempt = await alone.attempt(config);
    expect(attempt.error).toBeUndefined();
    expect(attempt.reported.size).toBe(1);
    lease.release();
  });

  describe('because the manifest does not have its class or transfer syntax', () => {
    const unnamed: readonly (readonly [Partial<ManifestInstance>, string])[] = [
      [{ sopClassUid: undefined }, 'the SOP Class UID of the instance is unknown'],
      [{ transferSyntaxUid: undefined }, 'does not name its transfer syntax'],
    ];

    it.each(unnamed)('%j: its file does not have it either', async (manifest, message) => {
      await using scp = await startStorescp();
      const delivery = new TestDelivery(dicomHandler, await studyWith([['no-meta.dcm', manifest]]));
      const config = dicomTarget.parse({ type: 'dicom', host: scp.host, port: scp.port, calledAeTitle: scp.aet });
      expect((await delivery.attempt(config)).error).toBeUndefined();
      expect([...delivery.ledger.values()]).toMatchObject([
        { kind: 'quarantined', error: { code: 'instance-unsupported', message: expect.stringContaining(message) } },
        { kind: 'delivered' },
        { kind: 'delivered' },
      ]);
    });

    it('an error of the source for its file is named, and the file is read again until that is final', async () => {
      await using scp = await startStorescp();
      const delivery = new TestDelivery(dicomHandler, await studyWith([['no-meta.dcm', { sopClassUid: undefined }]]));
      const config = dicomTarget.parse({ type: 'dicom', host: scp.host, port: scp.port, calledAeTitle: scp.aet });
      const attempt = (disposition: 'retry' | 'permanent') =>
        delivery.attempt(config, {
          onOpen({ sourceId }) {
            if (sourceId !== 'no-meta.dcm') return;
            throw new DispatchError('source-instance-failed', 'the source answers 500', { disposition });
          },
        });
      expect((await attempt('retry')).error).toMatchObject({ code: 'source-instance-failed' });
      expect(delivery.pending.length).toBe(1);
      expect((await attempt('permanent')).error).toBeUndefined();
      expect([...delivery.ledger.values()].at(-1)).toMatchObject({
        kind: 'quarantined',
        error: { code: 'source-instance-failed', message: 'the source answers 500' },
      });
    });

    it('its file has it by now: the manifest is read again', async () => {
      await using scp = await startStorescp();
      const study = await studyWith([['tiny-good.dcm', { sopClassUid: undefined, transferSyntaxUid: undefined }]]);
      const delivery = new TestDelivery(dicomHandler, study);
      const config = dicomTarget.parse({ type: 'dicom', host: scp.host, port: scp.port, calledAeTitle: scp.aet });
      expect((await delivery.attempt(config)).error).toMatchObject({
        code: 'source-instance-failed',
        disposition: 'retry',
      });
      expect(delivery.pending.map(({ sourceId }) => sourceId)).toEqual(['tiny-good.dcm']);
    });
  });
});
