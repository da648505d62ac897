import { startHttpServer } from '@dicom-dispatch/harness';
import { createOrthancClient } from '@dicom-dispatch/orthanc';
import { expect, it } from 'vitest';
import { withFileHeads } from './read-file-heads.ts';

it('a file that Orthanc cannot read stays unknown; any other error of the source is one', async () => {
  let status = 500;
  let body = '';
  await using server = await startHttpServer(({ path }, response) => {
    response.setHeader('content-type', 'application/json');
    if (path === '/system') return void response.end(JSON.stringify({ ApiVersion: 27, Version: '1.12.9' }));
    response.statusCode = status;
    response.end(body);
  });
  const orthanc = createOrthancClient({ url: server.url });
  const one = {
    id: Array.from({ length: 5 }, () => 'aaaaaaaa').join('-'),
    sopClassUid: undefined,
    transferSyntaxUid: undefined,
  };
  const read = () => withFileHeads(orthanc, [one]);

  body = JSON.stringify({ HttpStatus: 500, OrthancStatus: 9, OrthancError: 'Error while reading the file' });
  await expect(read()).resolves.toEqual([one]);
  for (const transient of [500, 502, 503, 504]) {
    [status, body] = [transient, 'try again later'];
    await expect(read()).rejects.toMatchObject({ status });
  }
  await orthanc.close();
});
