import { execFile } from 'node:child_process';
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { ContainerClient } from '@azure/storage-blob';
import type { DcmqrscpServer, OrthancServer, XnatStandIn } from '@dicom-dispatch/harness';

const run = promisify(execFile);

/** Changes made to instances (by SOP Instance UID) at a target while nothing checks it. */
export interface Meddler {
  remove(uids: readonly string[]): Promise<void>;
  /** Changes their size; at a PACS the end is cut off. */
  readonly cut: (uids: readonly string[]) => Promise<void>;
  /** Changes a byte of each. */
  readonly alter: (uids: readonly string[]) => Promise<void>;
}

export function ofFolder(root: string): Meddler {
  const find = async (uids: readonly string[]): Promise<string[]> => {
    const all = await readdir(root, { recursive: true });
    const paths = new Map(all.map((path) => [basename(path), join(root, path)]));
    return uids.map((uid) => known(paths.get(`${uid}.dcm`), uid));
  };
  return {
    async remove(uids) {
      for (const path of await find(uids)) await rm(path);
    },
    async cut(uids) {
      for (const path of await find(uids)) await truncate(path, (await stat(path)).size - 20);
    },
    async alter(uids) {
      for (const path of await find(uids)) await writeFile(path, altered(await readFile(path)));
    },
  };
}

export function ofBucket(client: S3Client, Bucket: string): Meddler {
  const find = async (uids: readonly string[]): Promise<string[]> => {
    const keys = new Map<string, string>();
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket })) {
      for (const { Key = '' } of Contents) keys.set(basename(Key), Key);
    }
    return uids.map((uid) => known(keys.get(`${uid}.dcm`), uid));
  };
  const change = async (uids: readonly string[], how: (bytes: Buffer) => Buffer): Promise<void> => {
    for (const Key of await find(uids)) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
      const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
      await client.send(new PutObjectCommand({ Bucket, Key, Body: how(bytes) }));
    }
  };
  return {
    async remove(uids) {
      for (const Key of await find(uids)) await client.send(new DeleteObjectCommand({ Bucket, Key }));
    },
    cut: (uids) => change(uids, (bytes) => bytes.subarray(0, -20)),
    alter: (uids) => change(uids, altered),
  };
}

export function ofContainer(container: ContainerClient): Meddler {
  const find = async (uids: readonly string[]): Promise<string[]> => {
    const names = new Map<string, string>();
    for await (const { name } of container.listBlobsFlat()) names.set(basename(name), name);
    return uids.map((uid) => known(names.get(`${uid}.dcm`), uid));
  };
  const change = async (uids: readonly string[], how: (bytes: Buffer) => Buffer): Promise<void> => {
    for (const name of await find(uids)) {
      const blob = container.getBlockBlobClient(name);
      const bytes = how(await blob.downloadToBuffer());
      await blob.upload(bytes, bytes.length);
    }
  };
  return {
    async remove(uids) {
      for (const name of await find(uids)) await container.deleteBlob(name);
    },
    cut: (uids) => change(uids, (bytes) => bytes.subarray(0, -20)),
    alter: (uids) => change(uids, altered),
  };
}

export function ofOrthanc(orthanc: OrthancServer): Meddler {
  const find = async (uid: string): Promise<string> => {
    const query = { Level: 'Instance', Query: { SOPInstanceUID: uid } };
    const [id] = (await orthanc.send('POST', '/tools/find', query)) as string[];
    return known(id, uid);
  };
  const change = async (uids: readonly string[], how: (bytes: Buffer) => Buffer): Promise<void> => {
    for (const uid of uids) {
      const id = await find(uid);
      const bytes = Buffer.from(await orthanc.getBytes(`/instances/${id}/file`));
      await orthanc.send('DELETE', `/instances/${id}`);
      await orthanc.upload(how(bytes));
    }
  };
  return {
    async remove(uids) {
      for (const uid of uids) await orthanc.send('DELETE', `/instances/${await find(uid)}`);
    },
    // An element after the pixel data: padding that every reader skips (PS3.5 section 7.2).
    cut: (uids) => change(uids, (bytes) => Buffer.concat([bytes, trailingPadding])),
    alter: (uids) => change(uids, altered),
  };
}

/** Changes the files in Orthanc's storage folder. */
export function ofOrthancFiles(orthanc: OrthancServer): Meddler {
  const storage = join(orthanc.folder, 'storage');
  const find = async (uids: readonly string[]): Promise<Map<string, string>> => {
    const wanted = new Set(uids);
    const found = new Map<string, string>();
    for (const entry of await readdir(storage, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const uid = uidOfFile(await readFile(path));
      if (uid !== undefined && wanted.has(uid)) found.set(uid, path);
    }
    return found;
  };
  return { remove: ofOrthanc(orthanc).remove, ...ofDicomFiles(find) };
}

/** The index still lists removed files until dcmqridx rebuilds it. */
export function ofDcmqrscp(server: DcmqrscpServer): Meddler {
  return {
    async remove(uids) {
      const gone = new Set(uids);
      const files = await server.received();
      const archive = join(server.folder, 'archive');
      for (const { path, sopInstanceUid } of files) if (gone.has(sopInstanceUid)) await rm(path);
      await rm(join(archive, 'index.dat'));
      const left = files.filter(({ sopInstanceUid }) => !gone.has(sopInstanceUid)).map(({ path }) => path);
      await run('dcmqridx', [archive, ...left]);
    },
    ...ofDicomFiles(async () => new Map((await server.received()).map((one) => [one.sopInstanceUid, one.path]))),
  };
}

function ofDicomFiles(
  find: (uids: readonly string[]) => Promise<ReadonlyMap<string, string>>,
): Pick<Meddler, 'cut' | 'alter'> {
  const change = async (uids: readonly string[], how: (bytes: Buffer) => Buffer): Promise<void> => {
    const paths = await find(uids);
    for (const uid of uids) {
      const path = known(paths.get(uid), uid);
      await writeFile(path, how(await readFile(path)));
    }
  };
  return {
    cut: (uids) => change(uids, (bytes) => bytes.subarray(0, -20)),
    alter: (uids) => change(uids, altered),
  };
}

/** Media Storage SOP Instance UID (0002,0003) of a Part 10 file. */
function uidOfFile(bytes: Buffer): string | undefined {
  if (bytes.toString('latin1', 128, 132) !== 'DICM') return undefined;
  const at = bytes.indexOf(Buffer.from([0x02, 0x00, 0x03, 0x00, 0x55, 0x49]));
  return at < 0 ? undefined : bytes.toString('latin1', at + 8, at + 8 + bytes.readUInt16LE(at + 6)).replace(/\0$/, '');
}

export function ofXnat({ archive }: XnatStandIn): Meddler {
  const change = async (uids: readonly string[], how: (bytes: Buffer) => Buffer): Promise<void> => {
    for (const uid of uids) {
      const session = sessionWith(uid);
      const instance = known(session.get(uid), uid);
      session.set(uid, { ...instance, bytes: how(instance.bytes) });
    }
  };
  const sessionWith = (uid: string) =>
    known(
      [...archive.values()].find((instances) => instances.has(uid)),
      uid,
    );
  return {
    async remove(uids) {
      for (const uid of uids) sessionWith(uid).delete(uid);
    },
    cut: (uids) => change(uids, (bytes) => bytes.subarray(0, -20)),
    alter: (uids) => change(uids, altered),
  };
}

function known<T>(found: T | undefined, uid: string): T {
  if (found === undefined) throw new Error(`${uid} is not at the target`);
  return found;
}

/** Data Set Trailing Padding (FFFC,FFFC), OB of two bytes, Explicit VR Little Endian. */
const trailingPadding = Buffer.from([0xfc, 0xff, 0xfc, 0xff, 0x4f, 0x42, 0, 0, 2, 0, 0, 0, 0, 0]);

function altered(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  // Near the end is pixel data.
  copy.writeUInt8(copy.readUInt8(copy.length - 9) ^ 0xff, copy.length - 9);
  return copy;
}
