import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { tempFolder } from './temp-folder.ts';

const run = promisify(execFile);

/** A certificate and its key, as PEM texts and as files. */
export interface Identity {
  readonly key: string;
  readonly cert: string;
  readonly keyFile: string;
  readonly certFile: string;
}

export interface Certificates {
  /** The authority that signed all but the `other…` ones. */
  readonly ca: Identity;
  /** For localhost, 127.0.0.1 and ::1. */
  readonly server: Identity;
  /** Common name `client`. */
  readonly client: Identity;
  /** For localhost, valid on one day in 2020. */
  readonly expiredServer: Identity;
  readonly expiredClient: Identity;
  /** For `elsewhere.example` only. */
  readonly wrongHostServer: Identity;
  /** An authority that is not trusted here, and its certificates. */
  readonly otherCa: Identity;
  readonly otherServer: Identity;
  readonly otherClient: Identity;
}

interface Wanted {
  readonly name: string;
  readonly names?: readonly string[];
  readonly isExpired?: boolean;
  readonly usage: 'serverAuth' | 'clientAuth';
  readonly keyFile: string;
}

const hosts = ['DNS:localhost', 'IP:127.0.0.1', 'IP:::1'] as const;
let made: Promise<Certificates> | undefined;

/** Certificates for TLS tests; created once per process, removed when it ends. */
export function makeCertificates(): Promise<Certificates> {
  made ??= make();
  return made;
}

async function make(): Promise<Certificates> {
  // Kept for the complete process: another test of this process may use it too.
  const { path: folder } = await tempFolder('certificates', { isKept: true });
  const ca = await makeAuthority(folder, 'ca');
  const otherCa = await makeAuthority(folder, 'other-ca');
  // Generating keys is slow, so all leaf certificates share one.
  const keyFile = join(folder, 'leaf-key.pem');
  await openssl('genrsa', { out: keyFile });
  const server = { names: hosts, usage: 'serverAuth', keyFile } as const;
  const client = { usage: 'clientAuth', keyFile } as const;
  return {
    ca,
    otherCa,
    server: await sign(folder, ca, { name: 'server', ...server }),
    client: await sign(folder, ca, { name: 'client', ...client }),
    expiredServer: await sign(folder, ca, { name: 'expired-server', ...server, isExpired: true }),
    expiredClient: await sign(folder, ca, { name: 'expired-client', ...client, isExpired: true }),
    wrongHostServer: await sign(folder, ca, { name: 'wrong-host', ...server, names: ['DNS:elsewhere.example'] }),
    otherServer: await sign(folder, otherCa, { name: 'other-server', ...server }),
    otherClient: await sign(folder, otherCa, { name: 'other-client', ...client }),
  };
}

async function openssl(words: string, options: Readonly<Record<string, string>>): Promise<void> {
  await run('openssl', [
    ...words.split(' '),
    ...Object.entries(options).flatMap(([name, value]) => [`-${name}`, value]),
  ]);
}

async function makeAuthority(folder: string, name: string): Promise<Identity> {
  const [keyFile, certFile] = [join(folder, `${name}-key.pem`), join(folder, `${name}.pem`)];
  await openssl('req -x509 -newkey rsa:2048 -noenc -days 90 -addext keyUsage=critical,keyCertSign,cRLSign', {
    subj: `/CN=${name} of the tests`,
    keyout: keyFile,
    out: certFile,
  });
  await writeFile(join(folder, `${name}-index.txt`), '');
  return readIdentity(keyFile, certFile);
}

async function sign(folder: string, authority: Identity, wanted: Wanted): Promise<Identity> {
  const file = (ending: string): string => join(folder, `${wanted.name}${ending}`);
  await openssl('req -new', { subj: `/CN=${wanted.name}`, key: wanted.keyFile, out: file('.csr') });
  await writeFile(file('.cnf'), describe(folder, wanted));
  // "openssl ca" is the only command that accepts both dates.
  const dates = wanted.isExpired ? '-startdate 20200101000000Z -enddate 20200102000000Z' : '-days 90';
  await openssl(`ca -batch -notext -md sha256 ${dates}`, {
    config: file('.cnf'),
    cert: authority.certFile,
    keyfile: authority.keyFile,
    in: file('.csr'),
    out: file('.pem'),
  });
  return readIdentity(wanted.keyFile, file('.pem'));
}

function describe(folder: string, { names, usage }: Wanted): string {
  return `
[ca]
default_ca = here
[here]
new_certs_dir = ${folder}
database = ${join(folder, 'ca-index.txt')}
unique_subject = no
rand_serial = yes
policy = any
x509_extensions = extensions
[any]
commonName = supplied
[extensions]
basicConstraints = CA:FALSE
extendedKeyUsage = ${usage}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
${names ? `subjectAltName = ${names.join(',')}` : ''}
`;
}

async function readIdentity(keyFile: string, certFile: string): Promise<Identity> {
  return { key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8'), keyFile, certFile };
}
