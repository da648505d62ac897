import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { BlobServiceClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { Secret } from '@dicom-dispatch/core';
import {
  startAzurite,
  startCountingDimseProxy,
  startCountingProxy,
  startDcmqrscp,
  startOrthanc,
  startRsyncd,
  startSshd,
  startSwift,
  startXnat,
  tempFolder,
} from '@dicom-dispatch/harness';
import {
  ofBucket,
  ofContainer,
  ofDcmqrscp,
  ofFolder,
  ofOrthanc,
  ofOrthancFiles,
  ofXnat,
  type Meddler,
} from './meddlers.ts';

export interface AuditedTarget {
  /** Its part of the configuration. */
  readonly target: Readonly<Record<string, unknown>>;
  readonly meddler: Meddler;
  /** Where its files are. */
  readonly folder?: string;
  stop(): Promise<void>;
}

export interface AuditedTargets extends AsyncDisposable {
  readonly targets: Readonly<Record<string, object>>;
  readonly meddlers: Readonly<Record<string, Meddler>>;
  /** Folder of the target `folder`. */
  readonly folder: string;
  /** The requests that HTTP or DICOM targets received, by type; none unless `isCounted`. */
  readonly loads: ReadonlyMap<string, Load>;
}

interface Load {
  reset(): void;
  /** Requests since `reset`. */
  count(): number;
  /** Most requests within any second. */
  most(): number;
}

/** The times of the requests. */
interface Counter extends AsyncDisposable {
  readonly requests: readonly { readonly at: number }[];
  reset(): void;
}

const starters = {
  folder: startFolder,
  sftp: startSftp,
  rsync: startRsync,
  s3: startS3,
  azure: startAzure,
  orthanc: startOrthancTarget,
  dicom: startDicom,
  dcmqrscp: startArchive,
  dicomweb: startDicomweb,
  xnat: startXnatTarget,
};
export type AuditedType = keyof typeof starters;
export const auditedTypes = Object.keys(starters) as AuditedType[];

/**
 * Real servers of the kinds that can report their contents; a stand-in for XNAT.
 *
 * @param more - options for each target that does not set them itself
 */
export async function startAuditedTargets(
  types: readonly AuditedType[],
  more: object = {},
  { isCounted = false } = {},
): Promise<AuditedTargets> {
  const counters = new Map<string, Counter>();
  const start = async (type: AuditedType) => {
    const one = await starters[type]();
    return [type, isCounted ? await counted(type, one, counters) : one] as const;
  };
  const started = await Promise.all(types.map(start));
  const common = { backoff: { first: '200ms', max: '1s' }, ...more };
  return {
    folder: started.find(([type]) => type === 'folder')?.[1].folder ?? '',
    targets: Object.fromEntries(started.map(([type, { target }]) => [type, { ...common, ...target }])),
    meddlers: Object.fromEntries(started.map(([type, { meddler }]) => [type, meddler])),
    loads: new Map(
      [...counters].map(([type, counter]) => [
        type,
        {
          reset: () => counter.reset(),
          count: () => counter.requests.length,
          most: () => mostInOneSecond(counter),
        },
      ]),
    ),
    async [Symbol.asyncDispose]() {
      await Promise.all([...counters.values()].map((counter) => counter[Symbol.asyncDispose]()));
      await Promise.all(started.map(([, { stop }]) => stop()));
    },
  };
}

/** The same target behind a counting proxy, if it uses HTTP or DICOM. */
async function counted(type: string, started: AuditedTarget, counters: Map<string, Counter>): Promise<AuditedTarget> {
  const { target } = started;
  if (target['type'] === 'dicom') {
    const proxy = await startCountingDimseProxy(String(target['host']), Number(target['port']));
    counters.set(type, proxy);
    return { ...started, target: { ...target, port: proxy.port } };
  }
  const option = ['url', 'endpoint'].find((name) => typeof target[name] === 'string');
  if (option === undefined) return started;
  const { origin, pathname } = new URL(String(target[option]));
  const proxy = await startCountingProxy(origin);
  counters.set(type, proxy);
  return { ...started, target: { ...target, [option]: `${proxy.url}${pathname.replace(/\/$/, '')}` } };
}

function mostInOneSecond({ requests }: Counter): number {
  let most = 0;
  let first = 0;
  for (const [index, { at }] of requests.entries()) {
    while ((requests[first]?.at ?? at) <= at - 1_000) first += 1;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

async function startFolder(): Promise<AuditedTarget> {
  const { path, remove } = await tempFolder('audit');
  return { target: { type: 'folder', path, minFree: 0 }, meddler: ofFolder(path), folder: path, stop: remove };
}

async function startSftp(): Promise<AuditedTarget> {
  const sshd = await startSshd({ sftpOnly: true });
  const { host, port, username, clientKey, hostKey, filesFolder: path, stop } = sshd;
  const privateKey = new Secret(clientKey.privateKey);
  const { fingerprint } = hostKey;
  const target = { type: 'sftp', host, port, username, privateKey, hostKey: { fingerprint }, path };
  return { target, meddler: ofFolder(path), stop };
}

async function startRsync(): Promise<AuditedTarget> {
  const { host, port, filesFolder, stop } = await startRsyncd();
  const via = { type: 'daemon', port, module: 'data' };
  return { target: { type: 'rsync', host, path: '/', via }, meddler: ofFolder(filesFolder), stop };
}

async function startS3(): Promise<AuditedTarget> {
  const { endpoint, region, accessKeyId, secretAccessKey, stop } = await startSwift();
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  const bucket = 'audit';
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  const secret = new Secret(secretAccessKey);
  return {
    target: { type: 's3', endpoint, region, bucket, accessKeyId, secretAccessKey: secret, checksum: 'md5' },
    meddler: ofBucket(client, bucket),
    async stop() {
      client.destroy();
      await stop();
    },
  };
}

async function startAzure(): Promise<AuditedTarget> {
  const { endpoint, account, accountKey, stop } = await startAzurite();
  const service = new BlobServiceClient(endpoint, new StorageSharedKeyCredential(account, accountKey));
  const container = service.getContainerClient('audit');
  await container.create();
  const target = { type: 'azure', endpoint, account, accountKey: new Secret(accountKey), container: 'audit' };
  return { target, meddler: ofContainer(container), stop };
}

async function startOrthancTarget(): Promise<AuditedTarget> {
  const orthanc = await startOrthanc({ name: 'archive' });
  // By default it keeps changes made by others, and the instance is quarantined.
  const target = { type: 'orthanc', url: orthanc.url, onConflict: 'overwrite' };
  return { target, meddler: ofOrthanc(orthanc), stop: orthanc.stop };
}

/** Reads each file from its folder, and takes another version of an instance. */
const changeable = { overwriteInstances: true, extraConfig: { MaximumStorageCacheSize: 0 } } as const;

async function startDicom(): Promise<AuditedTarget> {
  // Only known peers may request its instances; it never connects to us.
  const pacs = await startOrthanc({ ...changeable, name: 'pacs', modalities: { us: ['DISPATCH', '127.0.0.1', 104] } });
  const target = { type: 'dicom', host: '127.0.0.1', port: pacs.dicomPort, calledAeTitle: pacs.aet };
  return { target, meddler: ofOrthancFiles(pacs), stop: pacs.stop };
}

async function startArchive(): Promise<AuditedTarget> {
  const archive = await startDcmqrscp({ studies: 500 });
  const { host, port, aet: calledAeTitle } = archive;
  // One association at a time: several of its processes may give two instances one file.
  const target = { type: 'dicom', host, port, calledAeTitle, concurrency: 1, maxParallel: 1 };
  return { target, meddler: ofDcmqrscp(archive), stop: archive.stop };
}

async function startDicomweb(): Promise<AuditedTarget> {
  const pacs = await startOrthanc({ ...changeable, name: 'web', plugins: ['dicomweb'] });
  const target = { type: 'dicomweb', url: `${pacs.url}/dicom-web` };
  return { target, meddler: ofOrthancFiles(pacs), stop: pacs.stop };
}

async function startXnatTarget(): Promise<AuditedTarget> {
  const xnat = await startXnat();
  const auth = { type: 'basic', username: xnat.username, password: new Secret(xnat.password) };
  return {
    // Only a complete session replaces the existing one.
    target: { type: 'xnat', url: xnat.server.url, project: xnat.project, auth, overwrite: 'delete' },
    meddler: ofXnat(xnat),
    stop: xnat.server.stop,
  };
}
