// @ts-check
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { targetKit } from '@dicom-dispatch/target-kit';
import { TestDelivery, testStudy } from '@dicom-dispatch/target-kit/testing';
import { createHandler } from './index.js';

const handler = createHandler(targetKit);
/** What the web folder has: path to size in bytes. @type {Map<string, number>} */
const stored = new Map();
let isFull = false;

const server = createServer(async (request, response) => {
  let bytes = 0;
  for await (const chunk of request) bytes += chunk.length;
  if (request.method === 'PUT' && isFull) return void response.writeHead(507).end();
  if (request.method === 'PUT') stored.set(request.url ?? '', bytes);
  response.writeHead(204).end();
});
let url = '';

before(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : address}`;
});
beforeEach(() => {
  stored.clear();
  isFull = false;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

test('puts each instance at its path', async () => {
  const study = testStudy([Buffer.alloc(100_000), Buffer.alloc(70_000)]);
  const { error, reported } = await new TestDelivery(handler, study).attempt(options());
  assert.equal(error, undefined);
  assert.deepEqual([...reported.values()], [{ kind: 'delivered' }, { kind: 'delivered' }]);
  assert.deepEqual([...stored.values()].sort(), [100_000, 70_000].sort());
});

test('reports a full target, and sends the rest in the next attempt', async () => {
  const delivery = new TestDelivery(handler, testStudy([Buffer.alloc(1_000)]));
  isFull = true;
  assert.equal((await delivery.attempt(options())).error?.code, 'target-full');
  isFull = false;
  assert.equal((await delivery.attempt(options())).error, undefined);
  assert.equal(stored.size, 1);
});

test('tests the connection', async () => {
  const context = { config: options(), targetName: 'web-folder', signal: AbortSignal.timeout(10_000) };
  const checks = await Array.fromAsync(handler.testConnection(context));
  assert.deepEqual(
    checks.map(({ name, result }) => [name, result]),
    [
      ['resolve', 'passed'],
      ['connect', 'passed'],
      ['login', 'passed'],
    ],
  );
});

function options() {
  return handler.schema.parse({ type: 'package:dicom-dispatch-target-http-put', url });
}
