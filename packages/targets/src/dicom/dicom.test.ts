import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  freePort,
  makeCertificates,
  startDcmqrscp,
  startFaultProxy,
  startStorescp,
  tempDisk,
  type Certificates,
  type FaultProxy,
} from '@dicom-dispatch/harness';
import { createServer, UID } from 'dicom-dimse';
import { beforeAll } from 'vitest';
import {
  fileFacts,
  filesUnder,
  handlerContract,
  receivedFiles,
  type ArrangedFault,
  type ExpectedFault,
  type HandlerContract,
} from '../contract-suite/index.ts';
import { dicomHandler, dicomTlsHandler } from './handler.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
let certificates: Certificates;
beforeAll(async () => {
  certificates = await makeCertificates();
});

const hostile = { notApplicable: 'the receiver names what it stores by itself' };
const acceptAll = ({ transferSyntaxes }: { transferSyntaxes: readonly string[] }) => transferSyntaxes[0];
const acceptStorage = ({
  abstractSyntax,
  transferSyntaxes,
}: Parameters<typeof acceptAll>[0] & { abstractSyntax: string }) =>
  abstractSyntax.startsWith('1.2.840.10008.5.1.4.1.1.') ? transferSyntaxes[0] : undefined;

/** A receiver built on our own stack, for behaviour that DCMTK does not have. */
async function receiver(options: Parameters<typeof createServer>[0]): Promise<ArrangedFault> {
  const server = createServer(options);
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
  return { config: { port }, elsewhere: true, undo: () => server.close() };
}

const outOfResources = (): Promise<ArrangedFault> =>
  receiver({ presentationContexts: acceptAll, handlers: { store: () => 0xa700 } });

/** The disk of the receiver has less space than one instance needs. */
async function fullDisk(folder: string): Promise<ArrangedFault> {
  const disk = await tempDisk({ sizeBytes: 8192 });
  await run('mount', ['--bind', disk.path, folder]);
  return {
    undo: async () => {
      await run('umount', [folder]);
      await disk.remove();
    },
  };
}

const unreachable: ExpectedFault = {
  arrange: async () => ({ config: { port: await freePort() }, elsewhere: true }),
  code: 'target-unreachable',
  stage: 'connect',
};

/** Faults of the network before a receiver. */
function networkFaults(
  proxy: () => FaultProxy,
): Pick<HandlerContract<never>['faults'], 'unreachable' | 'hangs' | 'cut'> {
  const through = (strike: () => void | Promise<void>): ArrangedFault => ({
    config: { port: proxy().port },
    strike,
    undo: () => proxy().heal(),
  });
  return {
    unreachable,
    hangs: {
      arrange: () => ({
        ...through(() => proxy().set({ paused: true })),
        patientConfig: { port: proxy().port },
      }),
      code: 'target-timeout',
      stage: 'transfer',
      stopsClock: true,
    },
    // A lost association that can be opened again is not a fault: see the tests of the handler.
    cut: {
      arrange: () =>
        through(async () => {
          await proxy().set({ refuse: true });
          proxy().cut();
        }),
      code: 'target-connection-lost',
      stage: 'transfer',
    },
  };
}

let plain: FaultProxy;
let receivedFolder: string;
handlerContract({
  name: 'dicom, to storescp',
  handler: dicomHandler,
  keeps: 'dataset',
  async start() {
    const scp = await startStorescp();
    plain = await startFaultProxy({ port: scp.port });
    receivedFolder = scp.receivedFolder;
    return {
      config: { type: 'dicom', host: scp.host, port: scp.port, calledAeTitle: scp.aet },
      received: () => receivedFiles(scp.receivedFolder),
      async stop() {
        await plain.stop();
        await scp.stop();
      },
    };
  },
  faults: {
    ...networkFaults(() => plain),
    'wrong credentials': {
      arrange: () => receiver({ aeTitle: 'ANOTHER', presentationContexts: acceptAll }),
      code: 'target-rejected',
      stage: 'connect',
    },
    'wrong host key': { notApplicable: 'DICOM without TLS proves no identity' },
    full: {
      arrange: () => (isRoot ? fullDisk(receivedFolder) : outOfResources()),
      code: 'target-full',
      stage: 'transfer',
    },
  },
  checks: {
    resolve: { arrange: () => ({ config: { host: 'no-such-host.invalid' } }) },
    connect: { arrange: async () => ({ config: { port: await freePort() } }) },
    associate: { arrange: () => receiver({ aeTitle: 'ANOTHER', presentationContexts: [] }) },
    echo: { arrange: () => receiver({ presentationContexts: acceptAll, handlers: { echo: () => 0x0110 } }) },
    storage: { arrange: () => receiver({ presentationContexts: [] }) },
  },
  hostile,
});

let secure: FaultProxy;
handlerContract({
  name: 'dicom-tls, to storescp that demands our certificate',
  handler: dicomTlsHandler,
  keeps: 'dataset',
  async start() {
    const { ca, server, client } = await makeCertificates();
    const scp = await startStorescp({ tls: { key: server.key, cert: server.cert, ca: ca.cert } });
    secure = await startFaultProxy({ port: scp.port });
    return {
      config: {
        type: 'dicom-tls',
        host: scp.host,
        port: scp.port,
        calledAeTitle: scp.aet,
        tls: { ca: ca.certFile, cert: client.certFile, key: client.keyFile },
      },
      received: () => receivedFiles(scp.receivedFolder),
      async stop() {
        await secure.stop();
        await scp.stop();
      },
    };
  },
  faults: {
    ...networkFaults(() => secure),
    'wrong credentials': {
      arrange: () => ({
        config: {
          tls: {
            ca: certificates.ca.certFile,
            cert: certificates.otherClient.certFile,
            key: certificates.otherClient.keyFile,
          },
        },
      }),
      code: 'target-tls',
      stage: 'connect',
    },
    'wrong host key': {
      arrange: () => ({
        config: {
          tls: {
            ca: certificates.otherCa.certFile,
            cert: certificates.client.certFile,
            key: certificates.client.keyFile,
          },
        },
      }),
      code: 'target-tls',
      stage: 'connect',
    },
    full: { notApplicable: 'shown without TLS above' },
  },
  checks: {
    resolve: { arrange: () => ({ config: { host: 'no-such-host.invalid' } }) },
    connect: { arrange: async () => ({ config: { port: await freePort() } }) },
    tls: { arrange: () => ({ config: { tls: { ca: certificates.otherCa.certFile } } }) },
    // With TLS 1.3 a receiver reports only after the handshake that it requires a certificate.
    associate: { arrange: () => ({ config: { tls: { ca: certificates.ca.certFile } } }) },
    echo: {
      arrange: () =>
        receiver({
          presentationContexts: acceptAll,
          handlers: { echo: () => 0x0110 },
          tls: { key: certificates.server.key, cert: certificates.server.cert, ca: certificates.ca.cert },
        }),
    },
    storage: {
      arrange: () =>
        receiver({
          presentationContexts: [],
          tls: { key: certificates.server.key, cert: certificates.server.cert },
        }),
    },
  },
  hostile,
});

let archive: FaultProxy;
handlerContract({
  name: 'dicom, to dcmqrscp with verify: find',
  handler: dicomHandler,
  keeps: 'dataset',
  async start() {
    const scp = await startDcmqrscp();
    archive = await startFaultProxy({ port: scp.port });
    return {
      config: {
        type: 'dicom',
        host: scp.host,
        port: scp.port,
        calledAeTitle: scp.aet,
        // With several associations it may store two instances under one file name, and lose one of them.
        maxParallel: 1,
        verify: 'find',
        verifyTimeout: 0,
      },
      // The folder also contains its index and its configuration.
      received: async () => {
        const names = (await filesUnder(scp.folder)).filter((name) => /^archive\/.*(?<!\.dat)$/.test(name));
        return Promise.all(names.map((name) => fileFacts(join(scp.folder, name))));
      },
      async stop() {
        await archive.stop();
        await scp.stop();
      },
    };
  },
  faults: {
    ...networkFaults(() => archive),
    'wrong credentials': {
      arrange: () => ({ config: { calledAeTitle: 'WRONG' } }),
      code: 'target-rejected',
      stage: 'connect',
    },
    'wrong host key': { notApplicable: 'DICOM without TLS proves no identity' },
    full: { notApplicable: 'shown with a receiver of our own above' },
  },
  checks: {
    resolve: { arrange: () => ({ config: { host: 'no-such-host.invalid' } }) },
    connect: { arrange: async () => ({ config: { port: await freePort() } }) },
    associate: { arrange: () => ({ config: { calledAeTitle: 'WRONG' } }) },
    echo: { arrange: () => receiver({ presentationContexts: acceptAll, handlers: { echo: () => 0x0110 } }) },
    storage: {
      arrange: () =>
        receiver({
          presentationContexts: [
            { abstractSyntax: UID.studyRootFind, transferSyntaxes: ['1.2.840.10008.1.2.1', '1.2.840.10008.1.2'] },
          ],
        }),
    },
    query: { arrange: () => receiver({ presentationContexts: acceptStorage }) },
  },
  hostile,
});
