import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { httpRequest } from './http-request.ts';
import { startServer } from './start-server.ts';
import type { RunningServer } from './start-server.ts';
import { startTlsFront } from './tls-front.ts';

export interface OrthancOptions {
  /** Its display name. Default `harness`. */
  readonly name?: string;
  /** Default `ORTHANC`. */
  readonly aet?: string;
  /** When a study without new instances counts as stable. Default 1, the minimum. */
  readonly stableAgeSeconds?: number;
  /** Default none. */
  readonly plugins?: readonly ('dicomweb' | 'python')[];
  /** A file; needs the plugin `python`. */
  readonly pythonScript?: string;
  /** Name to password; enables authentication. The methods here use the first one. */
  readonly users?: Readonly<Record<string, string>>;
  /** `DicomModalities`: symbolic name to [AE title, host, port]. */
  readonly modalities?: Readonly<Record<string, unknown>>;
  /** `OrthancPeers`: symbolic name to [url, user, password]. */
  readonly peers?: Readonly<Record<string, unknown>>;
  /** Default false: an instance that is sent again is "AlreadyStored". */
  readonly overwriteInstances?: boolean;
  /**
   * HTTPS with this certificate (PEM texts), through a TLS proxy: with its own HTTPS, Orthanc of Debian 12 crashes at the first
   * request. The methods here, and Orthanc for its own requests, trust `ca`.
   */
  readonly tls?: { readonly key: string; readonly cert: string; readonly ca: string };
  /** DICOM TLS; certificates of clients must be signed by `ca`. */
  readonly dicomTls?: { readonly key: string; readonly cert: string; readonly ca: string };
  /** Other options of Orthanc's configuration; override those set here. */
  readonly extraConfig?: Readonly<Record<string, unknown>>;
  /** Folder of images and index, for a storage that is kept after the end of this server. Default its own folder. */
  readonly storageDir?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface OrthancServer extends RunningServer {
  /** Without a trailing slash. */
  readonly url: string;
  readonly httpPort: number;
  readonly dicomPort: number;
  readonly aet: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Stores a DICOM file; returns Orthanc's response. */
  upload(bytes: Buffer): Promise<{ ID: string; ParentStudy: string; ParentSeries: string; Status: string }>;
  /** Orthanc ids of all studies. */
  studies(): Promise<string[]>;
  /** SOP Instance UIDs of all instances. */
  sopInstanceUids(): Promise<string[]>;
  /** GET of a path; returns the JSON response. @throws unless the status is 2xx */
  get(path: string): Promise<unknown>;
  getBytes(path: string): Promise<Buffer>;
  /** Any other request with a JSON (or raw) body; returns the JSON response. @throws unless the status is 2xx */
  send(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<unknown>;
}

const pluginFiles = {
  dicomweb: '/usr/share/orthanc/plugins/libOrthancDicomWeb.so',
  python: '/usr/share/orthanc/plugins/libOrthancPython.so',
} as const;

/** A separate, empty Orthanc. */
export async function startOrthanc(options: OrthancOptions = {}): Promise<OrthancServer> {
  const [username, password] = Object.entries(options.users ?? {})[0] ?? [];
  const authorization: Record<string, string> =
    username === undefined
      ? {}
      : { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
  const server = await startServer({
    name: 'orthanc',
    portCount: 2,
    endsGently: options.storageDir !== undefined,
    prepare: async (folder, [httpPort, dicomPort]) => {
      const file = join(folder, 'orthanc.json');
      await writeFile(file, JSON.stringify(await configure(folder, httpPort!, dicomPort!, options), undefined, 2));
      return { command: '/usr/sbin/Orthanc', args: [file], cwd: folder, env: { ...options.env } };
    },
    isReady: async ([httpPort]) => {
      const answer = await httpRequest(`http://127.0.0.1:${httpPort}/system`, { headers: authorization });
      return answer.status === 200;
    },
  });
  const [httpPort, dicomPort] = server.ports as [number, number];
  const front = options.tls ? await startTlsFront({ ...options.tls, port: httpPort }) : undefined;
  const url = front ? `https://127.0.0.1:${front.port}` : `http://127.0.0.1:${httpPort}`;
  const ca = options.tls?.ca;
  async function stop(): Promise<void> {
    await front?.stop();
    await server.stop();
  }

  async function ask(method: string, path: string, body?: Buffer | string): Promise<Buffer> {
    const answer = await httpRequest(`${url}${path}`, { method, headers: authorization, body, ca });
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    throw new Error(`Orthanc answered ${answer.status} to ${method} ${path}: ${answer.body.toString().slice(0, 500)}`);
  }
  const json = (bytes: Buffer): unknown => (bytes.length === 0 ? undefined : JSON.parse(bytes.toString()));
  const get = async (path: string): Promise<unknown> => json(await ask('GET', path));

  return {
    ...server,
    stop,
    [Symbol.asyncDispose]: stop,
    url,
    httpPort: front?.port ?? httpPort,
    dicomPort,
    aet: options.aet ?? 'ORTHANC',
    username,
    password,
    get,
    getBytes: (path) => ask('GET', path),
    send: async (method, path, body) => {
      const raw = Buffer.isBuffer(body) || typeof body === 'string' || body === undefined;
      return json(await ask(method, path, raw ? body : JSON.stringify(body)));
    },
    upload: async (bytes) =>
      json(await ask('POST', '/instances', bytes)) as Awaited<ReturnType<OrthancServer['upload']>>,
    studies: async () => (await get('/studies')) as string[],
    sopInstanceUids: async () => {
      const all = (await get('/instances?expand')) as { MainDicomTags: { SOPInstanceUID: string } }[];
      return all.map((one) => one.MainDicomTags.SOPInstanceUID).sort();
    },
  };
}

async function configure(
  folder: string,
  httpPort: number,
  dicomPort: number,
  options: OrthancOptions,
): Promise<Record<string, unknown>> {
  const storage = options.storageDir ?? join(folder, 'storage');
  const { dicomTls } = options;
  async function write(name: string, text: string): Promise<string> {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  }
  return {
    Name: options.name ?? 'harness',
    StorageDirectory: storage,
    IndexDirectory: storage,
    HttpPort: httpPort,
    DicomPort: dicomPort,
    DicomAet: options.aet ?? 'ORTHANC',
    RemoteAccessAllowed: true,
    AuthenticationEnabled: options.users !== undefined,
    RegisteredUsers: options.users ?? {},
    DicomAlwaysAllowStore: true,
    DicomAlwaysAllowEcho: true,
    DicomModalities: options.modalities ?? {},
    OrthancPeers: options.peers ?? {},
    StableAge: options.stableAgeSeconds ?? 1,
    OverwriteInstances: options.overwriteInstances ?? false,
    // Tests do not need data after a crash of the machine. Benchmarks measure the default.
    SyncStorageArea: process.env['VITEST'] === undefined,
    Plugins: (options.plugins ?? []).map((plugin) => pluginFiles[plugin]),
    ...(options.pythonScript ? { PythonScript: options.pythonScript } : {}),
    ...(options.tls ? { HttpsCACertificates: await write('https-ca.pem', options.tls.ca) } : {}),
    ...(dicomTls
      ? {
          DicomTlsEnabled: true,
          DicomTlsCertificate: await write('cert.pem', dicomTls.cert),
          DicomTlsPrivateKey: await write('key.pem', dicomTls.key),
          DicomTlsTrustedCertificates: await write('ca.pem', dicomTls.ca),
        }
      : {}),
    ...options.extraConfig,
  };
}
