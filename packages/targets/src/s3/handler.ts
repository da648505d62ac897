import { DispatchError } from '@dicom-dispatch/core';
import { placesOf, targetConflict, type Occupant, type Places } from '../conflict/index.ts';
import {
  contractVersion,
  type DeliveryRun,
  type ManifestInstance,
  type TargetHandler,
} from '@dicom-dispatch/target-kit';
import {
  inLanes,
  largeAtOnce,
  largeBytes,
  Permits,
  throwIfCancelled,
  verdictOf,
} from '@dicom-dispatch/target-kit/flow';
import { studyMarker } from '../marker/index.ts';
import { s3About } from './about.ts';
import { openBucket, type Bucket } from './bucket.ts';
import { enterBucket } from './enter-bucket.ts';
import { commonFolder, takenKeys } from './known-keys.ts';
import { objectOptions } from './object-options.ts';
import { PartPool } from './part-pool.ts';
import { putObject, type KnownKeys, type Stored } from './put-object.ts';
import { dropUpload } from './resume-upload.ts';
import { openS3Inventory } from './inventory.ts';
import { limitsOf, s3Target, type S3Target } from './schema.ts';
import { sendInstance } from './send-instance.ts';
import { useKeys, type KeysInUse } from './stored-keys.ts';
import { testS3 } from './test-connection.ts';

export const s3Handler: TargetHandler<S3Target> = {
  contractVersion,
  type: 's3',
  about: s3About,
  heldBytes: ({ partSize }) => partSize,
  schema: s3Target,
  deliver,
  testConnection: testS3,
  inventory: openS3Inventory,
};

/** Stores each pending instance as a separate object, which is verified before it is reported. */
async function deliver(run: DeliveryRun<S3Target>): Promise<void> {
  throwIfCancelled(run.signal);
  run.stage('connect');
  const bucket = await openBucket(run.config);
  try {
    const mayList = await enterBucket(bucket, run.signal);
    run.stage('transfer');
    const places = placesOf(run, `${bucket.host} ${bucket.name}`, run.config.key, limitsOf(run.config));
    // Before the keys are listed: objects that another delivery stores from now on are detected.
    using inUse = useKeys(
      `${bucket.host} ${bucket.name}`,
      run.config.prefix + commonFolder(run.pending.map(places.pathOf)),
    );
    const known = await knownKeys(run, bucket, places, mayList, inUse);
    const quarantined = await send(run, bucket, places, known);
    // Each object was verified when it was created, before it was reported.
    run.stage('verify');
    run.stage('finalize');
    await writeMarker(run, bucket, places, known, quarantined);
  } finally {
    bucket[Symbol.dispose]();
  }
}

async function knownKeys(
  run: DeliveryRun<S3Target>,
  bucket: Bucket,
  places: Places,
  mayList: boolean,
  inUse: KeysInUse,
): Promise<KnownKeys> {
  const { config, pending, signal } = run;
  const keys = pending.map((instance) => config.prefix + places.pathOf(instance));
  const taken = mayList && config.existing === 'compare' ? await takenKeys(bucket, keys, signal) : undefined;
  return { inUse, mayList, mayBeTaken: (key) => taken?.has(key) ?? true };
}

async function send(
  run: DeliveryRun<S3Target>,
  bucket: Bucket,
  places: Places,
  known: KnownKeys,
): Promise<readonly ManifestInstance[]> {
  const { config, state } = run;
  const { instances, quarantined: shared } = await places.divide();
  const permits = new Permits(config.maxParallel);
  const isLarge = run.pending.some(({ sizeBytes }) => sizeBytes > largeBytes);
  const lanes = isLarge
    ? { lanes: Math.min(largeAtOnce, config.maxParallel), prefetch: 0 }
    : { lanes: config.maxParallel };
  const pool = new PartPool(new Permits(Math.ceil(config.maxParallel / 2)), config.partSize, run.reserve);
  let replaced = 0;
  const { quarantined } = await inLanes(run, { ...lanes, instances }, async (opened, { signal }) => {
    const { instance } = opened;
    const object = {
      key: config.prefix + places.pathOf(instance),
      options: objectOptions(config, run.study, instance),
      ...places.claim(instance),
      answered(tag: string): void {
        etag = tag.replaceAll('"', '');
      },
    };
    let stored: Stored;
    let etag: string | undefined;
    try {
      stored = await sendInstance(run, { bucket, state, permits, pool, signal }, known, opened, object);
      if (stored === 'replaced') replaced += 1;
    } catch (thrown) {
      const error = opened.bytes.readError ?? thrown;
      if (error instanceof DispatchError && verdictOf(error) === 'quarantine') {
        await dropUpload(bucket, state, instance, signal);
      }
      throw error;
    }
    const tag = etag === undefined ? '' : `, ETag ${etag}`;
    return { kind: 'delivered', answer: `${stored} as ${config.prefix}${places.shownPathOf(instance)}${tag}` };
  });
  if (replaced > 0) run.log.info('earlier versions of instances replaced', { count: replaced });
  return [...shared, ...quarantined];
}

async function writeMarker(
  run: DeliveryRun<S3Target>,
  bucket: Bucket,
  places: Places,
  known: KnownKeys,
  quarantined: readonly ManifestInstance[],
): Promise<void> {
  const { config, signal } = run;
  const marker = studyMarker(run, config.marker, quarantined, (instance) => config.prefix + places.pathOf(instance));
  if (!marker) return;
  const { mayReplace } = marker;
  const object = {
    key: config.prefix + marker.path,
    options: objectOptions({ ...config, tags: {}, metadata: {} }, run.study, undefined, 'application/json'),
    mayReplace: (there: Buffer) => mayReplace([there]),
    conflict: (occupant: Occupant) => targetConflict(`${bucket.host} ${bucket.name}`, marker.shownPath, occupant),
  };
  await putObject(bucket, { ...known, mayBeTaken: () => true }, object, marker.content, signal);
}
