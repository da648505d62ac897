import { planByName, StudyEnqueuer } from '@dicom-dispatch/pipeline';
import type { FlowScene } from './flow-scene.ts';

/** Puts study tasks of studies that no source has into a queue, at the lowest priority: they only have to wait. */
export async function enqueueMadeUp(scene: FlowScene, target: string, from: number, count: number): Promise<void> {
  const enqueuer = new StudyEnqueuer(scene.config, scene.client, scene.records);
  const planned = planByName(scene.config, [target], { rules: ['all'], priority: 'background' });
  try {
    for (let at = from; at < from + count; at += 16)
      await Promise.all(
        Array.from({ length: Math.min(16, from + count - at) }, (_, offset) => enqueueOne(at + offset)),
      );
  } finally {
    await enqueuer.close();
  }

  async function enqueueOne(index: number): Promise<void> {
    const studyInstanceUid = `2.25.9${String(index).padStart(12, '0')}`;
    const tags = { StudyInstanceUID: studyInstanceUid, StudyDate: '20200101' };
    await enqueuer.enqueue({
      source: 'main',
      epoch: '1',
      study: {
        studyInstanceUid,
        orthancStudyId: `00000000-00000000-00000000-00000000-${String(index).padStart(8, '0')}`,
        lastUpdate: '20200101T000000',
        tags: { studyInstanceUid, study: tags, series: new Map() },
        facts: { source: 'main', study: { ...tags, ModalitiesInStudy: ['CT'] }, series: [], origin: {} },
      },
      manifest: [
        {
          sopInstanceUid: `${studyInstanceUid}.1`,
          seriesInstanceUid: `${studyInstanceUid}.2`,
          studyInstanceUid,
          sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
          transferSyntaxUid: '1.2.840.10008.1.2.1',
          instanceNumber: 1,
          sizeBytes: 1_000,
          sourceId: `instance-${index}`,
          version: '1',
        },
      ],
      rules: ['all'],
      deliveries: planned,
    });
  }
}
