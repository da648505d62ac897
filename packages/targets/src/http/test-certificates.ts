import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A PEM file and its text. */
export interface PemFile {
  readonly path: string;
  readonly text: string;
}

export interface TestCertificates {
  readonly ca: PemFile;
  readonly server: { readonly cert: PemFile; readonly key: PemFile };
  readonly client: { readonly cert: PemFile; readonly key: PemFile };
}

/** An authority, a server certificate for 127.0.0.1 and a client certificate, for tests, valid for a day. */
export async function makeCertificates(folder: string): Promise<TestCertificates> {
  const at = (name: string): string => join(folder, name);
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  await openssl('req', '-x509', ...fresh, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-subj', '/CN=test authority');
  const signed = ['-x509', '-CA', at('ca.pem'), '-CAkey', at('ca.key')];
  async function issue(name: string, alternative: string) {
    const [key, cert] = [at(`${name}.key`), at(`${name}.pem`)];
    const subject = ['-subj', `/CN=test ${name}`, '-addext', `subjectAltName=${alternative}`];
    await openssl('req', ...signed, ...fresh, '-keyout', key, '-out', cert, ...subject);
    return { cert: await pem(cert), key: await pem(key) };
  }
  return {
    ca: await pem(at('ca.pem')),
    server: await issue('server', 'IP:127.0.0.1'),
    client: await issue('client', 'DNS:client.example'),
  };
}

async function openssl(...args: readonly string[]): Promise<void> {
  await run('openssl', args);
}

async function pem(path: string): Promise<PemFile> {
  return { path, text: await readFile(path, 'utf8') };
}
