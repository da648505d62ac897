import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import {
  startOrthanc,
  startRsyncd,
  startSshd,
  startSwift,
  tempFolder,
  type OrthancServer,
} from '@dicom-dispatch/harness';
import { Secret } from '@dicom-dispatch/core';

/** What is done to an instance at a target while nobody looks. */
export interface Meddler {
  remove(sopInstanceUid: string): Promise<void>;
  /** Makes it another size; undefined where only presence can be asked for. */
  readonly cut?: (sopInstanceUid: string) => Promise<void>;
  /** Changes a byte of it. */
  readonly alter?: (sopInstanceUid: string) => Promise<void>;
}

export interface AuditedTargets extends AsyncDisposable {
  /** By name, which is the type. */
  readonly targets: Readonly<Record<string, object>>;
  /** By target; `dicomweb` is on the server of `dicom`. */
  readonly meddlers: Readonly<Record<string, Meddler>>;
  readonly folder: string;
}

/** A real server of every kind that can say what it has. @param more - options for each target */
export async function startAuditedTargets(more: object = {}): Promise<AuditedTargets> {
  const [folder, sshd, rsyncd, swift, orthanc, pacs] = await Promise.all([
    tempFolder('audit'),
    startSshd({ sftpOnly: true }),
    startRsyncd(),
    startSwift(),
    startOrthanc({ name: 'archive' }),
    // Only whom it knows may ask for its instances; it never connects to us.
    startOrthanc({ name: 'pacs', plugins: ['dicomweb'], modalities: { us: ['DISPATCH', '127.0.0.1', 104] } }),
  ]);
  const { endpoint, region, accessKeyId, secretAccessKey } = swift;
  const s3 = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  await s3.send(new CreateBucketCommand({ Bucket: 'audit' }));
  const common = { backoff: { first: '200ms', max: '1s' }, ...more };
  return {
    folder: folder.path,
    targets: {
      folder: { type: 'folder', path: folder.path, minFree: 0, ...common },
      sftp: {
        type: 'sftp',
        host: sshd.host,
        port: sshd.port,
        username: sshd.username,
        privateKey: new Secret(sshd.clientKey.privateKey),
        hostKey: { fingerprint: sshd.hostKey.fingerprint },
        path: sshd.filesFolder,
        ...common,
      },
      rsync: {
        type: 'rsync',
        host: rsyncd.host,
        path: '/',
        via: { type: 'daemon', port: rsyncd.port, module: 'data' },
        ...common,
      },
      s3: {
        type: 's3',
        endpoint,
        region,
        bucket: 'audit',
        accessKeyId,
        secretAccessKey: new Secret(secretAccessKey),
        checksum: 'md5',
        ...common,
      },
      // By default it keeps what another has changed, and the instance is quarantined.
      orthanc: { type: 'orthanc', url: orthanc.url, onConflict: 'overwrite', ...common },
      dicom: { type: 'dicom', host: '127.0.0.1', port: pacs.dicomPort, calledAeTitle: pacs.aet, ...common },
      dicomweb: { type: 'dicomweb', url: `${pacs.url}/dicom-web`, ...common },
    },
    meddlers: {
      folder: ofFolder(folder.path),
      sftp: ofFolder(sshd.filesFolder),
      rsync: ofFolder(rsyncd.filesFolder),
      s3: ofBucket(s3, 'audit'),
      orthanc: ofOrthanc(orthanc),
      dicom: { remove: ofOrthanc(pacs).remove },
    },
    async [Symbol.asyncDispose]() {
      s3.destroy();
      await Promise.all([sshd, rsyncd, swift, orthanc, pacs].map((server) => server.stop()));
      await folder.remove();
    },
  };
}

function ofFolder(root: string): Meddler {
  const find = async (uid: string): Promise<string> => {
    const all = await readdir(root, { recursive: true });
    const found = all.find((path) => basename(path) === `${uid}.dcm`);
    if (found === undefined) throw new Error(`${uid} is not in ${root}`);
    return join(root, found);
  };
  return {
    remove: async (uid) => rm(await find(uid)),
    async cut(uid) {
      const path = await find(uid);
      await truncate(path, (await stat(path)).size - 20);
    },
    async alter(uid) {
      const path = await find(uid);
      await writeFile(path, altered(await readFile(path)));
    },
  };
}

function ofBucket(s3: S3Client, Bucket: string): Meddler {
  const find = async (uid: string): Promise<string> => {
    let token: string | undefined;
    do {
      const page = await s3.send(new ListObjectsV2Command({ Bucket, ContinuationToken: token }));
      const found = page.Contents?.find(({ Key = '' }) => Key.endsWith(`/${uid}.dcm`))?.Key;
      if (found !== undefined) return found;
      token = page.NextContinuationToken;
    } while (token !== undefined);
    throw new Error(`${uid} is not in the bucket`);
  };
  const change = async (uid: string, how: (bytes: Buffer) => Buffer): Promise<void> => {
    const Key = await find(uid);
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
    const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: how(bytes) }));
  };
  return {
    async remove(uid) {
      await s3.send(new DeleteObjectCommand({ Bucket, Key: await find(uid) }));
    },
    cut: (uid) => change(uid, (bytes) => bytes.subarray(0, -20)),
    alter: (uid) => change(uid, altered),
  };
}

function ofOrthanc(orthanc: OrthancServer): Meddler {
  const find = async (uid: string): Promise<string> => {
    const query = { Level: 'Instance', Query: { SOPInstanceUID: uid } };
    const [id] = (await orthanc.send('POST', '/tools/find', query)) as string[];
    if (id === undefined) throw new Error(`${uid} is not in Orthanc`);
    return id;
  };
  const change = async (uid: string, how: (bytes: Buffer) => Buffer): Promise<void> => {
    const id = await find(uid);
    const bytes = Buffer.from(await orthanc.getBytes(`/instances/${id}/file`));
    await orthanc.send('DELETE', `/instances/${id}`);
    await orthanc.upload(how(bytes));
  };
  return {
    remove: async (uid) => void (await orthanc.send('DELETE', `/instances/${await find(uid)}`)),
    // An element after the pixel data: padding that every reader skips (PS3.5 section 7.2).
    cut: (uid) => change(uid, (bytes) => Buffer.concat([bytes, trailingPadding])),
    alter: (uid) => change(uid, altered),
  };
}

/** Data Set Trailing Padding (FFFC,FFFC), OB of two bytes, Explicit VR Little Endian. */
const trailingPadding = Buffer.from([0xfc, 0xff, 0xfc, 0xff, 0x4f, 0x42, 0, 0, 2, 0, 0, 0, 0, 0]);

function altered(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  // Near the end is pixel data.
  copy.writeUInt8(copy.readUInt8(copy.length - 9) ^ 0xff, copy.length - 9);
  return copy;
}
