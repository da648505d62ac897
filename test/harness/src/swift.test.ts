import { createHash, createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { httpRequest } from './http-request.ts';
import type { HttpAnswer } from './http-request.ts';
import { startSwift } from './swift.ts';
import type { SwiftServer } from './swift.ts';

const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex');

/** A request signed with AWS Signature Version 4, without the SDK. */
function ask(server: SwiftServer, method: string, path: string, body = '', secret?: string): Promise<HttpAnswer> {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const date = time.slice(0, 8);
  const host = `127.0.0.1:${server.port}`;
  const scope = `${date}/${server.region}/s3/aws4_request`;
  const names = 'host;x-amz-content-sha256;x-amz-date';
  const canonical = [
    method,
    path,
    '',
    `host:${host}`,
    `x-amz-content-sha256:${sha256(body)}`,
    `x-amz-date:${time}`,
    '',
    names,
    sha256(body),
  ].join('\n');
  const key = [date, server.region, 's3', 'aws4_request'].reduce<string | Buffer>(
    (before, part) => createHmac('sha256', before).update(part).digest(),
    `AWS4${secret ?? server.secretAccessKey}`,
  );
  const signature = createHmac('sha256', key)
    .update(['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n'))
    .digest('hex');
  return httpRequest(`${server.endpoint}${path}`, {
    method,
    body,
    headers: {
      'x-amz-date': time,
      'x-amz-content-sha256': sha256(body),
      'content-length': String(body.length),
      authorization: `AWS4-HMAC-SHA256 Credential=${server.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    },
  });
}

test('stores an object by S3, rejects a wrong secret, and keeps the object over a restart', async () => {
  await using server = await startSwift();
  expect((await ask(server, 'PUT', '/bucket')).status).toBe(200);
  expect((await ask(server, 'PUT', '/bucket/a/b.dcm', 'content')).status).toBe(200);
  expect((await ask(server, 'GET', '/bucket/a/b.dcm', '', 'wrong')).status).toBe(403);
  await server.kill('SIGKILL');
  await server.restart();
  expect((await ask(server, 'GET', '/bucket/a/b.dcm')).body.toString()).toBe('content');
});
