import { once } from 'node:events';
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net';
import { createServer, TRANSFER_SYNTAX, UID, type ServerOptions } from 'dicom-dimse';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { describe, expect, it } from 'vitest';
import { allChecks, fixtureStudy, type FixtureStudy } from '../contract-suite/index.ts';
import { dicomHandler } from './handler.ts';
import { dicomTarget, type DicomTarget } from './schema.ts';

const ultrasound = '1.2.840.10008.5.1.4.1.1.6.1';
const study = fixtureStudy({ seed: 'test', series: 1, instancesPerSeries: 2, rows: 8, columns: 8 });

async function receiver(options: Partial<ServerOptions>): Promise<AsyncDisposable & { readonly config: DicomTarget }> {
  const server = createServer({
    presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
    ...options,
    handlers: {
      async store({ dataSet }) {
        for await (const _chunk of dataSet);
        return 0;
      },
      ...options.handlers,
    },
  });
  const { port } = await server.listen({ port: 0, host: '127.0.0.1' });
  return {
    config: dicomTarget.parse({ type: 'dicom', host: '127.0.0.1', port, calledAeTitle: 'RECEIVER' }),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** The same study, as if its instances had another SOP class. */
function withClass(sopClassUid: string): FixtureStudy {
  return {
    ...study,
    instances: study.instances.map((one) => ({ ...one, manifest: { ...one.manifest, sopClassUid } })),
  };
}

describe('a receiver that deliveries can use passes the test', () => {
  it.each<[string, Partial<ServerOptions>, FixtureStudy, string[]]>([
    [
      'for ultrasound alone',
      {
        presentationContexts: ({ abstractSyntax: is, transferSyntaxes }) =>
          is === ultrasound ? transferSyntaxes[0] : undefined,
      },
      withClass(ultrasound),
      [],
    ],
    [
      'for compressed images alone',
      {
        presentationContexts: ({ transferSyntaxes }) =>
          transferSyntaxes.find((one) => one === TRANSFER_SYNTAX.jpegBaseline),
      },
      { ...study, instances: [] },
      [],
    ],
    ['that accepts Verification, and does not perform it', { handlers: { echo: () => 0x0211 } }, study, ['echo']],
    ['that accepts one association at a time', { maxAssociations: 1 }, study, []],
  ])('%s', async (_name, options, sent, skipped) => {
    await using scp = await receiver(options);
    const checks = await allChecks(dicomHandler, scp.config);
    expect(checks.filter(({ result }) => result === 'failed')).toEqual([]);
    expect(checks.flatMap(({ name, result }) => (result === 'skipped' ? [name] : []))).toEqual(skipped);
    expect((await new TestDelivery(dicomHandler, sent).attempt(scp.config)).error).toBeUndefined();
  });

  it('that rejects associations of which it accepts no presentation context', async () => {
    await using scp = await receiver({});
    await using gate = await rejecting(scp.config.port, (proposes) => !proposes(ultrasound));
    const config = { ...scp.config, port: gate.port };
    expect(await resultsOf(config)).toEqual(allButEcho);
  });

  it('that rejects associations which propose anything but storage', async () => {
    await using scp = await receiver({});
    await using gate = await rejecting(
      scp.config.port,
      (proposes) => proposes(UID.verification) || proposes(UID.storageCommitmentPushModel),
    );
    const config = { ...scp.config, port: gate.port };
    expect(await resultsOf(config)).toEqual(allButEcho);
    expect((await new TestDelivery(dicomHandler, study).attempt(config)).error).toBeUndefined();
  });
});

const allButEcho = { resolve: 'passed', connect: 'passed', associate: 'passed', echo: 'skipped', storage: 'passed' };

async function resultsOf(config: DicomTarget): Promise<object> {
  const checks = await allChecks(dicomHandler, config);
  return Object.fromEntries(checks.map(({ name, result }) => [name, result]));
}

/** A-ASSOCIATE-RJ (PS3.8 table 9-21): permanent, by the user of the service, no reason. */
const rejection = Buffer.from('03000000000400010101', 'hex');

/** In front of a receiver: rejects the associations of which this is true, by the abstract syntaxes that they propose. */
async function rejecting(
  to: number,
  isRejected: (proposes: (uid: string) => boolean) => boolean,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (request) => {
      const proposes = (uid: string): boolean => request.includes(uid, 0, 'latin1');
      if (isRejected(proposes)) return void socket.end(rejection);
      const peer = connect(to, '127.0.0.1', () => peer.write(request));
      peer.on('error', () => socket.destroy());
      socket.pipe(peer).pipe(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}
