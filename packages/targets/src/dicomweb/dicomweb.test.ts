import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@dicom-dispatch/core';
import {
  freePort,
  makeCertificates,
  startOrthanc,
  startTlsFront,
  tempFolder,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import { handlerContract, part10Facts, type ArrangedFault, type StartedTarget } from '../contract-suite/index.ts';
import { blockStorage } from '../orthanc/block-storage.ts';
import { dicomwebHandler } from './handler.ts';
import type { DicomwebTarget } from './schema.ts';

const users = { ada: 'first-password', reader: 'reader-password', blind: 'blind-password' };

/** `reader` may not store, `blind` may not search. */
const script = `
function IncomingHttpRequestFilter(method, uri, ip, username, headers)
  return not ((method == 'POST' and username == 'reader') or (method == 'GET' and username == 'blind'))
end
`;

let server: OrthancServer;

async function startTarget(): Promise<StartedTarget> {
  const folder = await tempFolder('dicomweb-target');
  const { ca, server: own } = await makeCertificates();
  const lua = join(folder.path, 'filter.lua');
  await writeFile(lua, script);
  // No "stable" events while a test compares the feed of changes.
  server = await startOrthanc({
    users,
    plugins: ['dicomweb'],
    stableAgeSeconds: 3600,
    extraConfig: { LuaScripts: [lua] },
  });
  const front = await startTlsFront({ port: server.httpPort, key: own.key, cert: own.cert });
  return {
    config: {
      type: 'dicomweb',
      url: `https://127.0.0.1:${front.port}/dicom-web`,
      auth: login('ada'),
      tls: { ca: ca.certFile },
      batch: { instances: 3 },
      verify: 'qido',
      timeout: '60s',
    },
    async received() {
      const ids = (await server.get('/instances')) as string[];
      const facts = [];
      for (const id of ids) facts.push(await part10Facts([await server.getBytes(`/instances/${id}/file`)]));
      return facts;
    },
    fingerprint: async () => [await server.get('/statistics'), await server.get('/changes?last')],
    async stop() {
      await front.stop();
      await server.stop();
      await folder.remove();
    },
  };
}

function login(username: keyof typeof users, password: string = users[username]) {
  return { type: 'basic', username, password: new Secret(password) };
}

const elsewhere = async (): Promise<ArrangedFault> => ({
  config: { url: `https://127.0.0.1:${await freePort()}/dicom-web` },
});

handlerContract<DicomwebTarget>({
  name: 'dicomweb',
  handler: dicomwebHandler,
  start: startTarget,
  faults: {
    'wrong credentials': {
      arrange: () => ({ config: { auth: login('ada', 'wrong-password') } }),
      code: 'target-unauthorized',
      stage: 'connect',
    },
    'wrong host key': { arrange: () => ({ config: { tls: {} } }), code: 'target-tls', stage: 'connect' },
    // Orthanc responds with 200 and does not list instances that it could not store.
    full: { arrange: () => blockStorage(server.folder), code: 'instance-failed', stage: 'transfer' },
    unreachable: { arrange: elsewhere, code: 'target-unreachable', stage: 'connect' },
    hangs: {
      arrange: () => ({
        strike: () => server.kill('SIGSTOP'),
        undo: () => server.kill('SIGCONT'),
      }),
      code: 'target-timeout',
      stage: 'transfer',
      stopsClock: true,
    },
    cut: {
      // The connection is lost, and the second one too.
      arrange: () => ({ strike: () => server.kill('SIGKILL'), undo: () => server.restart() }),
      code: 'target-connection-lost',
      stage: 'transfer',
    },
  },
  checks: {
    resolve: { arrange: () => ({ config: { url: 'https://no-such-host.invalid/dicom-web' } }) },
    connect: { arrange: elsewhere },
    tls: { arrange: () => ({ config: { tls: {} } }) },
    login: { arrange: () => ({ config: { auth: login('ada', 'wrong-password') } }) },
    permission: { arrange: () => ({ config: { auth: login('reader') } }) },
    search: { arrange: () => ({ config: { auth: login('blind') } }) },
  },
  hostile: { notApplicable: 'a DICOMweb service names what it stores by itself' },
});
