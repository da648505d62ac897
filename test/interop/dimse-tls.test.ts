import { execFileSync } from 'node:child_process';
import { hashDataset, makeCertificates, startStorescp } from '@dicom-dispatch/harness';
import type { Certificates, StorescpOptions } from '@dicom-dispatch/harness';
import { TLS_PROFILES, createServer } from 'dicom-dimse';
import type { DimseError, ServerOptions, TlsClientOptions, TlsProfileName } from 'dicom-dimse';
import { beforeAll, describe, expect, it } from 'vitest';
import { VERIFICATION, contextsFor, open, run, sampleStudy, writeFiles } from './dimse-fixtures.ts';
import { tempFolder } from '@dicom-dispatch/harness';

const study = sampleStudy({ seed: 'tls', rows: 128, columns: 128 });
let certificates: Certificates;
beforeAll(async () => {
  certificates = await makeCertificates();
});

const profiles = Object.keys(TLS_PROFILES) as TlsProfileName[];

describe('DICOM TLS as client of storescp', () => {
  const scp = (verify: 'require' | 'ignore', options: StorescpOptions = {}, identity = certificates.server) =>
    startStorescp({
      tls: { key: identity.key, cert: identity.cert, ca: certificates.ca.cert, verify },
      ...options,
    });
  const tls = (more: TlsClientOptions = {}): TlsClientOptions => ({ ca: certificates.ca.cert, ...more });
  const mutual = (): TlsClientOptions =>
    tls({ cert: certificates.client.cert, key: certificates.client.key, servername: 'localhost' });

  it('stores without and with a client certificate', async () => {
    await using lenient = await scp('ignore');
    await using strict = await scp('require');
    for (const [server, options] of [
      [lenient, tls()],
      [strict, mutual()],
    ] as const) {
      const association = await open({ port: server.port, presentationContexts: contextsFor(study), tls: options });
      const results = await Promise.all(study.map((instance) => association.store([instance.bytes])));
      expect(results.map((result) => result.status)).toEqual(study.map(() => 0));
      await association.release();
      expect((await server.received()).map((file) => file.datasetSha256).sort()).toEqual(
        study.map((instance) => hashDataset(instance.bytes)).sort(),
      );
    }
  });

  it.each(profiles)('uses profile %s', async (profile) => {
    const option = { bcp195: '+px', 'bcp195-extended': '+pz' }[profile as string] ?? '+py';
    await using server = await scp('require', { args: [option] });
    const association = await open({
      port: server.port,
      presentationContexts: [VERIFICATION],
      tls: { ...mutual(), profile },
    });
    expect(await association.echo()).toMatchObject({ status: 0 });
    await association.release();
  });

  async function codeOf(port: number, options: TlsClientOptions): Promise<string> {
    try {
      const association = await open({
        port,
        presentationContexts: [VERIFICATION],
        tls: options,
      });
      association.abort();
      return 'connected';
    } catch (error) {
      return `${(error as DimseError).code}`;
    }
  }

  it('reports what is wrong with the certificate of the peer', async () => {
    await using good = await scp('ignore');
    await using expired = await scp('ignore', {}, certificates.expiredServer);
    await using elsewhere = await scp('ignore', {}, certificates.wrongHostServer);
    await using foreign = await scp('ignore', {}, certificates.otherServer);
    expect(await codeOf(good.port, tls())).toBe('connected');
    expect(await codeOf(good.port, {})).toBe('tls-untrusted');
    expect(await codeOf(foreign.port, tls())).toBe('tls-untrusted');
    expect(await codeOf(foreign.port, tls({ rejectUnauthorized: false }))).toBe('connected');
    expect(await codeOf(expired.port, tls())).toBe('tls-expired');
    expect(await codeOf(elsewhere.port, tls())).toBe('tls-host-mismatch');
    expect(await codeOf(elsewhere.port, tls({ servername: 'elsewhere.example' }))).toBe('connected');
    expect(await codeOf(elsewhere.port, tls({ verifyHostname: false }))).toBe('connected');
    expect(
      await codeOf(good.port, tls({ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' })),
    ).toMatch(/connected|tls-version|tls-cipher/);
  });

  it('reports what is wrong with ours', async () => {
    await using strict = await scp('require');
    expect(await codeOf(strict.port, mutual())).toBe('connected');
    expect(await codeOf(strict.port, tls())).toMatch(/^tls-client-certificate-required|tls-cipher$/);
    const { otherClient, expiredClient, client } = certificates;
    expect(await codeOf(strict.port, tls({ cert: otherClient.cert, key: otherClient.key }))).toBe(
      'tls-client-certificate-rejected',
    );
    expect(await codeOf(strict.port, tls({ cert: expiredClient.cert, key: expiredClient.key }))).toBe(
      'tls-client-certificate-rejected',
    );
    expect(await codeOf(strict.port, tls({ cert: client.cert, key: certificates.ca.key }))).toBe('tls-material');
  });

  it('opens a key with its passphrase only', async () => {
    const locked = execFileSync(
      'openssl',
      ['rsa', '-aes256', '-passout', 'pass:secret', '-in', certificates.client.keyFile],
      {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    await using strict = await scp('require');
    const options = { ...mutual(), key: locked };
    expect(await codeOf(strict.port, { ...options, passphrase: 'secret' })).toBe('connected');
    expect(await codeOf(strict.port, { ...options, passphrase: 'wrong' })).toBe('tls-material');
    expect(await codeOf(strict.port, options)).toBe('tls-material');
  });

  it('distinguishes a plain peer, and a TLS peer from a plain client', async () => {
    await using plain = await startStorescp();
    await using secured = await scp('ignore');
    expect(await codeOf(plain.port, tls())).toMatch(/^tls-(closed|not-spoken)$/);
    await expect(open({ port: secured.port, presentationContexts: [VERIFICATION] })).rejects.toMatchObject({
      code: expect.stringMatching(/connection-closed|protocol-error/) as string,
    });
  });
});

describe("DICOM TLS as server of DCMTK's clients", () => {
  async function withServer(options: Partial<ServerOptions>, act: (port: number, errors: string[]) => Promise<void>) {
    const errors: string[] = [];
    const server = createServer({
      presentationContexts: ({ transferSyntaxes }) => transferSyntaxes[0],
      handlers: { store: () => 0 },
      onConnectionError: (error) => void errors.push(error.code),
      ...options,
    });
    try {
      await act((await server.listen({ port: 0, host: '127.0.0.1' })).port, errors);
    } finally {
      await server.close();
    }
  }
  const identity = () => ({ cert: certificates.server.cert, key: certificates.server.key });
  const withCertificate = (who: 'client' | 'otherClient') => [
    '+tls',
    certificates[who].keyFile,
    certificates[who].certFile,
    '+cf',
    certificates.ca.certFile,
  ];

  it('accepts clients without a certificate', async () => {
    await withServer({ tls: identity() }, async (port) => {
      const anonymous = ['+tla', '+cf', certificates.ca.certFile];
      expect(await run('echoscu', [...anonymous, 'localhost', String(port)])).toMatchObject({ exitCode: 0 });
      await using folder = await tempFolder('tls');
      const files = await writeFiles(folder.path, study);
      expect(await run('storescu', [...anonymous, 'localhost', String(port), ...files])).toMatchObject({ exitCode: 0 });
    });
  });

  it('accepts only clients with a certificate of its authority', async () => {
    await withServer({ tls: { ...identity(), ca: certificates.ca.cert } }, async (port, errors) => {
      const where = ['localhost', String(port)];
      expect(await run('echoscu', [...withCertificate('client'), ...where])).toMatchObject({ exitCode: 0 });
      expect(errors).toEqual([]);
      expect((await run('echoscu', [...withCertificate('otherClient'), ...where])).exitCode).not.toBe(0);
      expect((await run('echoscu', ['+tla', '+cf', certificates.ca.certFile, ...where])).exitCode).not.toBe(0);
      expect(errors.at(-1)).toBe('tls-client-certificate-required');
      expect((await run('echoscu', where)).exitCode).not.toBe(0);
    });
  });

  it.each(profiles)('uses profile %s', async (profile) => {
    const option = { bcp195: '+px', 'bcp195-extended': '+pz' }[profile as string] ?? '+py';
    await withServer({ tls: { ...identity(), profile } }, async (port) => {
      const args = ['+tla', '+cf', certificates.ca.certFile, option, 'localhost', String(port)];
      expect(await run('echoscu', args)).toMatchObject({ exitCode: 0 });
    });
  });
});
