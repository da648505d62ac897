import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import {
  createServer as createTcpServer,
  connect as connectTcp,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { promisify } from 'node:util';
import {
  makeCertificates,
  startStorescp,
  tempFolder,
  type Certificates,
  type StorescpServer,
} from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { allChecks, fixtureStudy } from '../contract-suite/index.ts';
import { dicomHandler } from './handler.ts';
import { dicomTarget } from './schema.ts';

const run = promisify(execFile);
const old = { ciphers: 'DEFAULT@SECLEVEL=0', minVersion: 'TLSv1' } as const;

let scp: StorescpServer;
/** The same with its own TLS, which requires our certificate. */
let secure: StorescpServer;
let certificates: Certificates;
let weak: { readonly key: string; readonly cert: string; readonly certFile: string };
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  scp = await startStorescp();
  certificates = await makeCertificates();
  const { key, cert } = certificates.server;
  secure = await startStorescp({ tls: { key, cert, ca: certificates.ca.cert } });
  const folder = await tempFolder('weak');
  closing.push(() => folder.remove());
  const [keyFile, certFile] = [join(folder.path, 'key.pem'), join(folder.path, 'cert.pem')];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const words = `req -x509 -newkey rsa:1024 -noenc -days 2 -keyout ${keyFile} -out ${certFile}`;
  await run('openssl', [...words.split(' '), ...names]);
  weak = { key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8'), certFile };
});
afterAll(async () => {
  for (const close of closing.toReversed()) await close();
  await secure?.stop();
  await scp?.stop();
});

/** A TLS proxy before storescp, or another listener. @returns its port */
async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}

function front(options: TlsOptions): Promise<number> {
  const server = createTlsServer(options, (socket) => {
    const upstream = connectTcp(scp.port, '127.0.0.1');
    for (const one of [socket, upstream]) one.on('error', () => {});
    socket.pipe(upstream).pipe(socket);
    socket.on('close', () => upstream.destroy());
    upstream.on('close', () => socket.destroy());
  });
  server.on('tlsClientError', () => {});
  return listening(server);
}

const plainText = (act: (socket: Socket) => void): Promise<number> =>
  listening(
    createTcpServer((socket) => {
      socket.on('error', () => {});
      act(socket);
    }),
  );

interface Case {
  readonly name: string;
  port(): Promise<number>;
  /** Options of `tls`; undefined: a target without TLS. */
  tls?(): Record<string, unknown>;
  /** Text of the error of the check and of the delivery; undefined: both succeed. */
  readonly detail?: RegExp;
  readonly remedy?: RegExp;
  readonly code?: string;
  /** Default `tls`. */
  readonly check?: string;
  /** Default 60 s. */
  readonly connectTimeout?: string;
}

const ca = () => ({ ca: certificates.ca.certFile });
const server = (more: TlsOptions = {}) =>
  front({ key: certificates.server.key, cert: certificates.server.cert, ...more });

const cases: readonly Case[] = [
  { name: 'a good peer', port: () => server(), tls: ca },
  {
    name: 'a peer that closes, as storescp without TLS does',
    port: async () => scp.port,
    tls: ca,
    code: 'target-unreachable',
    detail: /closed during the TLS handshake/,
    remedy: /TLS port/,
  },
  {
    name: 'a port that does not use TLS',
    port: () =>
      plainText((socket) => socket.once('data', () => socket.end(Buffer.from('07000000000400000201', 'hex')))),
    tls: ca,
    detail: /does not use TLS/,
    remedy: /without tls/,
  },
  {
    name: 'a peer that waits for a request in plain text',
    port: () => plainText((socket) => socket.resume()),
    tls: ca,
    code: 'target-unreachable',
    connectTimeout: '5s',
    detail: /connected, but no TLS handshake within 5000 ms \(connectTimeout\)/,
  },
  {
    name: 'a peer with TLS for a target without',
    // An alert: unexpected message (RFC 8446 section 6).
    port: () => plainText((socket) => socket.once('data', () => socket.end(Buffer.from('1503010002020a', 'hex')))),
    check: 'associate',
    detail: /uses TLS/,
    remedy: /Set tls for the target/,
  },
  {
    name: 'storescp with TLS for a target without',
    port: async () => secure.port,
    check: 'associate',
    code: 'target-unreachable',
    detail: /closed the connection/,
    remedy: /whether this port requires TLS/,
  },
  {
    name: 'an unknown authority',
    port: () => front({ key: certificates.otherServer.key, cert: certificates.otherServer.cert }),
    tls: ca,
    detail: /not trusted/,
    remedy: /tls\.ca/,
  },
  {
    name: 'an unknown authority that is not to be verified',
    port: () => front({ key: certificates.otherServer.key, cert: certificates.otherServer.cert }),
    tls: () => ({ verify: false }),
  },
  {
    name: 'an expired certificate',
    port: () => front({ key: certificates.expiredServer.key, cert: certificates.expiredServer.cert }),
    tls: ca,
    detail: /expired/,
    remedy: /Renew/,
  },
  {
    name: 'a certificate for another name',
    port: () => front({ key: certificates.wrongHostServer.key, cert: certificates.wrongHostServer.cert }),
    tls: ca,
    detail: /for another name: DNS:elsewhere\.example/,
    remedy: /tls\.serverName.*tls\.verifyHostname/,
  },
  {
    name: 'a certificate for another name, which is not to be looked at',
    port: () => front({ key: certificates.wrongHostServer.key, cert: certificates.wrongHostServer.cert }),
    tls: () => ({ ...ca(), verifyHostname: false }),
  },
  {
    name: 'a certificate for another name, which is named',
    port: () => front({ key: certificates.wrongHostServer.key, cert: certificates.wrongHostServer.cert }),
    tls: () => ({ ...ca(), serverName: 'elsewhere.example' }),
  },
  {
    name: 'a key of 1024 bits',
    port: () => front({ ...weak, ...old }),
    tls: () => ({ ca: weak.certFile }),
    detail: /too weak/,
    remedy: /bcp195/,
  },
  {
    name: 'a key of 1024 bits, by a profile that takes it',
    port: () => front({ ...weak, ...old }),
    tls: () => ({ ca: weak.certFile, profile: 'bcp195' }),
  },
  {
    name: 'TLS 1.1 at most',
    port: () => server({ ...old, maxVersion: 'TLSv1.1' }),
    tls: ca,
    detail: /TLS version/,
    remedy: /bcp195/,
  },
  {
    name: 'TLS 1.1 at most, by a profile that takes it',
    port: () => server({ ...old, maxVersion: 'TLSv1.1' }),
    tls: () => ({ ...ca(), profile: 'bcp195' }),
  },
  {
    name: 'TLS 1.2 for a target that wants 1.3',
    port: () => server({ maxVersion: 'TLSv1.2' }),
    tls: () => ({ ...ca(), minVersion: 'TLSv1.3' }),
    detail: /TLS version/,
    remedy: /tls\.minVersion/,
  },
  { name: 'TLS 1.3 only', port: () => server({ minVersion: 'TLSv1.3' }), tls: ca },
  {
    name: 'TLS 1.3 only for a profile of TLS 1.2',
    port: () => server({ minVersion: 'TLSv1.3' }),
    tls: () => ({ ...ca(), profile: 'bcp195-extended' }),
    detail: /TLS version/,
    remedy: /tls\.profile/,
  },
  {
    name: 'a client certificate that is asked for (TLS 1.3)',
    port: async () => secure.port,
    tls: ca,
    check: 'associate',
    detail: /requires a client certificate/,
    remedy: /tls\.cert and tls\.key/,
  },
  {
    name: 'a client certificate of an authority that is not trusted there',
    port: async () => secure.port,
    tls: () => ({ ...ca(), cert: certificates.otherClient.certFile, key: certificates.otherClient.keyFile }),
    check: 'associate',
    detail: /does not know the authority of our certificate/,
    remedy: /trust the authority of tls\.cert/,
  },
  {
    name: 'a client certificate that is there',
    port: async () => secure.port,
    tls: () => ({ ...ca(), cert: certificates.client.certFile, key: certificates.client.keyFile }),
  },
  {
    name: 'a key that is not of the certificate',
    port: () => server(),
    tls: () => ({ ...ca(), cert: certificates.client.certFile, key: certificates.ca.keyFile }),
    code: 'config-invalid',
    detail: /private key does not belong to the certificate/,
    remedy: /tls\.key/,
  },
];

describe('the test of a target reports the same problems as its deliveries', () => {
  it.each(cases)(
    '$name',
    async ({ port, tls, detail, remedy, code = 'target-tls', check = 'tls', connectTimeout = '60s' }) => {
      const config = dicomTarget.parse({
        type: 'dicom',
        host: '127.0.0.1',
        port: await port(),
        calledAeTitle: scp.aet,
        connectTimeout,
        associationTimeout: '60s',
        ...(tls && { tls: tls() }),
      });
      const checks = await allChecks(dicomHandler, config);
      const { error } = await new TestDelivery(dicomHandler, fixtureStudy({ rows: 8, columns: 8 })).attempt(config);
      const failed = checks.find(({ result }) => result === 'failed');
      if (detail === undefined) {
        expect(failed).toBeUndefined();
        expect(error).toBeUndefined();
        return;
      }
      expect(failed?.name).toBe(check);
      expect(failed?.detail).toMatch(detail);
      expect(failed?.remedy).toMatch(remedy ?? /./);
      expect(error?.code).toBe(code);
      // A delivery reports the same error as the check.
      expect(error?.message).toBe(failed?.detail);
      expect(error?.remedy).toBe(failed?.remedy);
      // The remedy names only existing options.
      const known = [
        'ca',
        'cert',
        'key',
        'passphrase',
        'serverName',
        'profile',
        'minVersion',
        'verifyHostname',
        'verify',
      ];
      for (const [, option] of failed?.remedy?.matchAll(/tls\.(\w+)/g) ?? []) expect(known).toContain(option);
      expect(`${failed?.detail} ${failed?.remedy}`).not.toMatch(/servername|maxVersion|ciphers|requestCert|`/);
    },
  );
});
