import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  isInstalled,
  startOrthanc,
  startSshd,
  startStorescp,
  startSwift,
  tempFolder,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import type { DeliverySet } from './delivery-sets.ts';
import { measureProcess } from './dimse-measure.ts';
import { exportAndThen, inTurn } from './export-from-orthanc.ts';

const run = promisify(execFile);

export interface Timed {
  readonly seconds: number;
  readonly cpuSeconds?: number;
  readonly peakBytes?: number;
}

export interface Peer {
  readonly sender: string;
  run(): Promise<Timed>;
}

/** Two rows for a program that sends files: those that a script first downloads from Orthanc, and those of the set. */
function ofFiles(
  { set, env, source }: ReceiverOptions,
  sender: string,
  run: (folder: string) => Promise<Timed>,
): readonly Peer[] {
  return [
    { sender: `curl from Orthanc, then ${sender}`, run: () => exportAndThen(source(), env, run) },
    { sender: `${sender}, from files`, run: () => run(set.folder) },
  ];
}

/** A running receiver, with the addresses for ours and the other programs. */
export interface Receiver extends AsyncDisposable {
  /** The options of our target for one run. */
  target(run: number): object;
  readonly peers: readonly Peer[];
  /** Removes received files between runs. */
  clear(): Promise<void>;
  readonly env?: Readonly<Record<string, string>>;
}

export interface ReceiverOptions {
  readonly set: DeliverySet;
  /** Environment of the receivers and the peers: with `TCP_NODELAY` or without. */
  readonly env: NodeJS.ProcessEnv;
  /** The port through which a server is reached: its own, or that of a link. */
  through(port: number): Promise<number>;
  /** Started after the receivers: its own store and STOW clients are peers. */
  source(): OrthancServer;
  /** Names that the source's configuration must contain. */
  readonly modalities: Record<string, unknown>;
  readonly dicomWebServers: Record<string, unknown>;
}

export type Kind = 'dicom' | 'dicomweb' | 'sftp' | 's3' | 'folder';

interface KindOf {
  /** Whether it is reached over a network. */
  readonly isRemote: boolean;
  start(receiverOptions: ReceiverOptions): Promise<Receiver>;
}

export const kinds: Readonly<Record<Kind, KindOf>> = {
  dicom: { isRemote: true, start: startDicom },
  dicomweb: { isRemote: true, start: startDicomWeb },
  sftp: { isRemote: true, start: startSftp },
  s3: { isRemote: true, start: startS3 },
  folder: { isRemote: false, start: startFolder },
};

async function startDicom(receiverOptions: ReceiverOptions): Promise<Receiver> {
  const { env, through, source, modalities } = receiverOptions;
  const scp = await startStorescp({ ignore: true, acceptAll: true, env });
  const port = await through(scp.port);
  modalities['receiver'] = ['STORESCP', '127.0.0.1', port];
  const address = ['127.0.0.1', String(port)];
  return {
    target: () => ({ type: 'dicom', host: '127.0.0.1', port, calledAeTitle: 'STORESCP', maxParallel: 'auto' }),
    peers: [
      {
        sender: "Orthanc's /modalities/store",
        run: () => byOrthanc(source(), '/modalities/receiver/store'),
      },
      ...ofFiles(receiverOptions, 'dcmsend', (folder) =>
        measureProcess('dcmsend', ['-nuc', '--scan-directories', ...address, folder], env),
      ),
      ...ofFiles(receiverOptions, 'storescu', (folder) =>
        measureProcess('storescu', ['--scan-directories', ...address, folder], env),
      ),
    ],
    clear: async () => {},
    [Symbol.asyncDispose]: () => scp.stop(),
  };
}

async function startDicomWeb({ env, through, source, dicomWebServers }: ReceiverOptions): Promise<Receiver> {
  const receiver = await startOrthanc({ name: 'receiver', plugins: ['dicomweb'], env });
  const url = `http://127.0.0.1:${await through(receiver.httpPort)}/dicom-web`;
  dicomWebServers['receiver'] = [`${url}/`];
  return {
    target: () => ({ type: 'dicomweb', url }),
    peers: [{ sender: "Orthanc's STOW-RS client", run: () => byOrthanc(source(), '/dicom-web/servers/receiver/stow') }],
    async clear() {
      for (const study of await receiver.studies()) await receiver.send('DELETE', `/studies/${study}`);
    },
    [Symbol.asyncDispose]: () => receiver.stop(),
  };
}

async function byOrthanc(source: OrthancServer, path: string): Promise<Timed> {
  const Resources = await source.studies();
  const begun = performance.now();
  await source.send('POST', path, { Resources, Synchronous: true, Timeout: 600 });
  return { seconds: (performance.now() - begun) / 1_000 };
}

async function startSftp(receiverOptions: ReceiverOptions): Promise<Receiver> {
  const { set, env, through } = receiverOptions;
  const sshd = await startSshd();
  const port = await through(sshd.port);
  const folder = sshd.filesFolder;
  const batch = join(sshd.folder, 'batch');
  const knownHosts = join(sshd.folder, 'known-for-bench');
  await writeFile(knownHosts, `[127.0.0.1]:${port} ${sshd.hostKey.publicKey}\n`);
  const options = [
    '-P',
    String(port),
    '-i',
    sshd.clientKey.privateKeyFile,
    '-o',
    `UserKnownHostsFile=${knownHosts}`,
    '-o',
    'BatchMode=yes',
  ];
  async function put(flag: string, from: string): Promise<Timed> {
    await writeFile(batch, `mkdir ${folder}/peer\nput ${flag} ${from}/*.dcm ${folder}/peer/\n`);
    return measureProcess('sftp', ['-q', ...options, '-b', batch, `${sshd.username}@127.0.0.1`], env);
  }
  return {
    target: () => ({
      type: 'sftp',
      host: '127.0.0.1',
      port,
      username: sshd.username,
      privateKey: { file: sshd.clientKey.privateKeyFile },
      hostKey: { fingerprint: sshd.hostKey.fingerprint },
      path: folder,
    }),
    peers: [
      ...ofFiles(receiverOptions, 'sftp with put -f (each file synced)', (from) => put('-f', from)),
      ...ofFiles(receiverOptions, 'sftp with put (nothing on disk yet)', (from) => put('', from)),
    ],
    clear: () => putAside(folder, set, sshd.folder),
    [Symbol.asyncDispose]: () => sshd.stop(),
  };
}

async function startS3(receiverOptions: ReceiverOptions): Promise<Receiver> {
  const { env, through } = receiverOptions;
  const swift = await startSwift();
  const endpoint = `127.0.0.1:${await through(swift.port)}`;
  const near = `127.0.0.1:${swift.port}`;
  const { accessKeyId, secretAccessKey, region } = swift;
  const s3cmdFile = join(swift.folder, 's3cmd.conf');
  const s3cmd = (host: string): string[] => ['-c', s3cmdFile, `--host=${host}`, `--host-bucket=${host}`, '-q'];
  await writeFile(
    s3cmdFile,
    `[default]\naccess_key = ${accessKeyId}\nsecret_key = ${secretAccessKey}\nuse_https = False\nbucket_location = ${region}\nsignature_v2 = False\n`,
  );
  const rclone = (host: string): string =>
    `:s3,provider=Other,access_key_id='${accessKeyId}',secret_access_key='${secretAccessKey}',endpoint='http://${host}',region='${region}',force_path_style=true:bench/peer`;
  await run('s3cmd', [...s3cmd(near), 'mb', 's3://bench']);
  return {
    env: { BENCH_S3_SECRET: secretAccessKey },
    target: () => ({
      type: 's3',
      bucket: 'bench',
      endpoint: `http://${endpoint}`,
      region,
      accessKeyId,
      secretAccessKey: '${BENCH_S3_SECRET}',
      checksum: 'md5',
      prefix: 'ours/',
    }),
    peers: [
      ...(isInstalled('rclone')
        ? ofFiles(receiverOptions, 'rclone copy', (folder) =>
            // An authority for the AWS SDK is of no use here, and rclone does not start with one.
            measureProcess('rclone', ['copy', '--config', '/dev/null', folder, rclone(endpoint)], {
              ...env,
              AWS_CA_BUNDLE: undefined,
            }),
          )
        : []),
      ...ofFiles(receiverOptions, 's3cmd put', (folder) =>
        measureProcess('s3cmd', [...s3cmd(endpoint), 'put', '--recursive', `${folder}/`, 's3://bench/peer/'], env),
      ),
    ],
    clear: async () =>
      void (await run('s3cmd', [...s3cmd(near), 'del', '--recursive', '--force', 's3://bench/'], { maxBuffer: 64e6 })),
    [Symbol.asyncDispose]: () => swift.stop(),
  };
}

async function startFolder({ set, env, source }: ReceiverOptions): Promise<Receiver> {
  const folder = await tempFolder('bench-folder');
  const [ours, peer] = [join(folder.path, 'ours'), join(folder.path, 'peer')];
  await Promise.all([mkdir(ours), mkdir(peer)]);
  const copy = (): Promise<Timed> => measureProcess('cp', ['-r', set.folder, peer], env);
  return {
    target: () => ({ type: 'folder', path: ours }),
    peers: [
      {
        sender: 'curl from Orthanc, then sync -f',
        run: () => exportAndThen(source(), env, (exported) => measureProcess('sync', ['-f', exported], env)),
      },
      {
        sender: 'cp, then sync -f, from files',
        run: async () => inTurn(await copy(), await measureProcess('sync', ['-f', peer], env)),
      },
      { sender: 'cp, nothing on disk yet, from files', run: copy },
    ],
    clear: async () => {
      await Promise.all([putAside(ours, set, folder.path), putAside(peer, set, folder.path)]);
      // Pending writes must not affect the next run.
      await run('sync', ['-f', folder.path]);
    },
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}

/**
 * Moves small files aside without deleting them. For half a minute ext4 checks each deleted inode
 * for every new file: after 2,000 files were deleted, the next 2,000 cost each sender 0.5 ms of CPU more per file.
 */
async function putAside(folder: string, set: DeliverySet, root: string): Promise<void> {
  if (set.bytes / set.files.length > 8e6) return empty(folder);
  const aside = await mkdtemp(join(root, 'aside-'));
  for (const name of await readdir(folder)) await rename(join(folder, name), join(aside, name));
}

async function empty(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true });
}
