import { readFile } from 'node:fs/promises';
import { startLyingProxy, tempFolder, waitFor } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { quick } from './support/pacs-target.ts';
import { startFollowing } from './support/start-in-process.ts';
import { startSystem } from './support/system.ts';

it('only delivered and unchanged instances are deleted at the source', async () => {
  await using system = await startSystem();
  await using folder = await tempFolder('deleted');
  await using proxy = await startLyingProxy({ url: system.orthanc.url });
  await using dispatch = await startFollowing({
    config: system.config(
      {
        files: { type: 'folder', path: folder.path, minFree: 0, layout: 'flat', transform: 'plain', ...quick },
      },
      {
        sources: { main: { url: proxy.url, pollInterval: '200ms' } },
        transforms: { plain: { transferSyntax: '1.2.840.10008.1.2.1' } },
        rules: [{ name: 'all', targets: ['files'], onSuccess: { delete: true } }],
      },
    ),
  });
  // The transform of this instance yields nothing: Orthanc 1.10.1 responds with an empty file.
  const unsupported = await readFile(new URL('../fixtures/cases/tiny-htj2k.dcm', import.meta.url));
  const { ID: kept, ParentStudy } = await system.orthanc.upload(unsupported);
  const study = await system.upload({ seed: 'delete', instancesPerSeries: 3, rows: 16, columns: 16 });
  const [replaced] = (await system.orthanc.get(`/studies/${study.orthancStudyId}/instances`)) as { ID: string }[];
  // As if it had been replaced after the manifest was read, and before it is deleted.
  proxy.lie(({ path, method }) =>
    method === 'GET' && path === `/instances/${replaced?.ID}`
      ? {
          kind: 'text',
          contentType: 'application/json',
          body: JSON.stringify({ ...replaced, FileUuid: '00000000-0000-0000-0000-000000000000' }),
        }
      : undefined,
  );
  await system.untilDelivery(study, 'files', ['delivered']).catch((error: unknown) => {
    throw new Error(dispatch.output(), { cause: error });
  });
  const other = { ...study, studyInstanceUid: '2.25.9001', orthancStudyId: ParentStudy };
  const ended = await system.untilDelivery(other, 'files', ['partial', 'delivered', 'failed']);
  expect(ended).toMatchObject({ quarantined: 1, confirmed: 0 });
  expect(ended.state).not.toBe('delivered');
  const left = await waitFor(
    async () => {
      const ids = (await system.orthanc.get('/instances')) as string[];
      return ids.length <= 2 && ids;
    },
    { message: () => dispatch.output() },
  );
  expect(left.sort()).toEqual([kept, replaced?.ID].sort());
});
