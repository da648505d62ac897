import { createHash } from 'node:crypto';
import { GetObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { listReceived, type OrthancServer } from '@dicom-dispatch/harness';
import type { LiarScene } from './liar-scene.ts';

export const targets = ['dicom', 'dicomweb', 'orthanc', 's3', 'folder'] as const;
export type Target = (typeof targets)[number];

/** Where the targets of a schedule store. */
export interface Stores {
  readonly scene: LiarScene;
  readonly folder: string;
  readonly s3: S3Client;
  readonly bucket: string;
}

/** Hashes of the instances of a study at a target, by SOP Instance UID; some targets list other studies too. */
export async function receivedBy(
  target: Target,
  study: string,
  { scene, folder, s3, bucket }: Stores,
): Promise<ReadonlyMap<string, string>> {
  switch (target) {
    case 'dicom':
      return new Map((await scene.scp.received()).map((file) => [file.sopInstanceUid, file.datasetSha256]));
    case 'folder':
      return new Map((await listReceived(folder)).map((file) => [file.sopInstanceUid, file.datasetSha256]));
    case 'dicomweb':
      return filesOf(scene.web, study);
    case 'orthanc':
      return filesOf(scene.peer, study);
    case 's3':
      return objectsOf(s3, bucket);
  }
}

/** A DICOM receiver writes its own file meta information, so only the data set is compared. */
export function isSame(target: Target, one: { file: string; dataset: string }, hash: string | undefined): boolean {
  return hash === (target === 'dicom' || target === 'folder' ? one.dataset : one.file);
}

async function filesOf(orthanc: OrthancServer, study: string): Promise<Map<string, string>> {
  const found = (await orthanc.send('POST', '/tools/find', {
    Level: 'Instance',
    Query: { StudyInstanceUID: study },
    Expand: true,
  })) as { ID: string; MainDicomTags: { SOPInstanceUID: string } }[];
  const files = new Map<string, string>();
  for (const { ID, MainDicomTags } of found) {
    files.set(MainDicomTags.SOPInstanceUID, sha256(await orthanc.getBytes(`/instances/${ID}/file`)));
  }
  return files;
}

async function objectsOf(s3: S3Client, bucket: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const { Contents: contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
  for (const { Key: key } of contents) {
    const { Body: body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    const uid = /([0-9.]+)\.dcm$/.exec(key ?? '')?.[1] ?? '';
    found.set(uid, sha256(await body!.transformToByteArray()));
  }
  return found;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
