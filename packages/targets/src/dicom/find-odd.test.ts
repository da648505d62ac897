import { createServer } from 'dicom-dimse';
import { dataSet, decodeDataSet } from 'dicom-dimse/dataset';
import { expect, it } from 'vitest';
import { dicomHandler } from './handler.ts';
import { dicomTarget } from './schema.ts';

it('lists all studies if the receiver fails at the series of one, and names it', async () => {
  const server = createServer({
    presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
    handlers: {
      async *find({ identifier }) {
        const { QueryRetrieveLevel: level, StudyInstanceUID: uid } = await decodeDataSet(identifier);
        if (level === 'STUDY') for (const one of ['1.1', '1.2', '1.3']) yield dataSet({ StudyInstanceUID: one });
        else if (uid === '1.2') throw new Error('its index is damaged');
        else yield dataSet({ SeriesInstanceUID: `${String(uid)}.1`, RequestAttributesSequence: [{ StudyID: '7' }] });
      },
    },
  });
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
  try {
    const config = dicomTarget.parse({ type: 'dicom', host: '127.0.0.1', port, calledAeTitle: 'ARCHIVE' });
    const found: string[] = [];
    const all = async (): Promise<void> => {
      const context = { config, targetName: 'pacs', signal: new AbortController().signal };
      for await (const { studyInstanceUid, series } of dicomHandler.pull!.find({}, context))
        found.push([studyInstanceUid, ...series.map((one) => one.seriesInstanceUid)].join(' '));
    };
    await expect(all()).rejects.toMatchObject({
      code: 'target-error',
      message: expect.stringContaining('the series of the study 1.2 ('),
    });
    expect(found).toEqual(['1.1 1.1.1', '1.2', '1.3 1.3.1']);
  } finally {
    await server.close();
  }
});
