import { expect, test } from 'vitest';
import { httpRequest } from './http-request.ts';
import { startHttpServer } from './http-server.ts';

test('gives the configured responses, and records the requests', async () => {
  await using server = await startHttpServer((request, response) => {
    response.writeHead(request.method === 'POST' ? 201 : 200).end(request.body);
  });
  const answer = await httpRequest(`${server.url}/data/x?a=1`, { method: 'POST', body: 'hello' });
  expect([answer.status, answer.body.toString()]).toEqual([201, 'hello']);
  server.setHandler((_, response) => {
    response.writeHead(429, { 'retry-after': '7' }).end();
  });
  const busy = await httpRequest(server.url);
  expect([busy.status, busy.headers['retry-after']]).toEqual([429, '7']);
  expect(server.requests.map((one) => [one.method, one.path, one.query.get('a'), one.bodyBytes])).toEqual([
    ['POST', '/data/x', '1', 5],
    ['GET', '/', null, 0],
  ]);
});

test('can break off in the middle of an answer', async () => {
  await using server = await startHttpServer((_, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => response.destroy());
  });
  await expect(httpRequest(server.url)).rejects.toThrow('aborted');
});

test('a handler that throws answers 500', async () => {
  await using server = await startHttpServer(() => {
    throw new Error('not as expected');
  });
  const answer = await httpRequest(server.url);
  expect([answer.status, answer.body.toString()]).toEqual([500, 'Error: not as expected']);
});
