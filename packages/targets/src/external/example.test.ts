import { fileURLToPath } from 'node:url';
import { Secret } from '@dicom-dispatch/core';
import { freePort, startHttpServer, type HttpHandler, type HttpStandIn } from '@dicom-dispatch/harness';
import { handlerContract, part10Facts, type ArrangedFault, type Part10Facts } from '../contract-suite/index.ts';
import { loadHandler } from './load-handler.ts';

const repository = fileURLToPath(new URL('../../../../', import.meta.url));
const handler = await loadHandler('package:./examples/target-handler', { folder: repository });

const files = new Map<string, Part10Facts>();
let server: HttpStandIn;

/** Stores uploads, like a web folder. */
const keep: HttpHandler = async ({ method, path, headers, body }, response) => {
  if (headers.authorization !== 'Bearer open-sesame') return void response.writeHead(401).end();
  if (method === 'PUT') files.set(path, await part10Facts([body]));
  response.writeHead(method === 'PUT' ? 201 : 204).end();
};

function answering(status: number): ArrangedFault {
  server.setHandler((request, response) =>
    request.method === 'PUT' ? void response.writeHead(status).end() : keep(request, response),
  );
  return { undo: () => server.setHandler(keep) };
}

const elsewhere = async (): Promise<ArrangedFault> => ({ config: { url: `http://127.0.0.1:${await freePort()}` } });

handlerContract({
  name: 'the example of a handler from outside',
  handler,
  async start() {
    server = await startHttpServer(keep);
    return {
      config: {
        type: 'package:./examples/target-handler',
        url: `${server.url}/incoming`,
        token: new Secret('open-sesame'),
      },
      received: async () => [...files.values()],
      names: async () => [...files.keys()].map((path) => path.slice(1)),
      stop: () => server.stop(),
    };
  },
  faults: {
    'wrong credentials': {
      arrange: () => ({ config: { token: new Secret('wrong') } }),
      code: 'target-unauthorized',
      stage: 'connect',
    },
    'wrong host key': { notApplicable: 'this server speaks plain HTTP' },
    full: { arrange: () => answering(507), code: 'target-full', stage: 'transfer' },
    unreachable: { arrange: elsewhere, code: 'target-unreachable', stage: 'connect' },
    hangs: {
      arrange: () => {
        server.setHandler((request, response) => (request.method === 'PUT' ? undefined : keep(request, response)));
        // It limits by a signal: what comes before has enough time.
        return { config: { timeout: '30s' }, undo: () => server.setHandler(keep) };
      },
      code: 'target-timeout',
      stage: 'transfer',
    },
    cut: { arrange: () => ({ strike: () => server.cut() }), code: 'target-connection-lost', stage: 'transfer' },
  },
  checks: {
    resolve: { arrange: () => ({ config: { url: 'http://no-such-host.invalid' } }) },
    connect: { arrange: elsewhere },
    login: { arrange: () => ({ config: { token: new Secret('wrong') } }) },
  },
  hostile: { notApplicable: 'names are made of UIDs only' },
});
