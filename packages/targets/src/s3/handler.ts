import { DispatchError } from '@dicom-dispatch/core';
import { contractVersion, type DeliveryRun, type ManifestInstance, type TargetHandler } from '../contract/index.ts';
import { inLanes, largeAtOnce, largeBytes, Permits, throwIfCancelled, verdictOf } from '../flow/index.ts';
import { studyMarker } from '../marker/index.ts';
import { parseTemplate, renderTemplate } from '../template/index.ts';
import { openBucket, type Bucket } from './bucket.ts';
import { enterBucket } from './enter-bucket.ts';
import { takenKeys } from './known-keys.ts';
import { objectOptions } from './object-options.ts';
import { PartPool } from './part-pool.ts';
import { putObject } from './put-object.ts';
import { dropUpload } from './resume-upload.ts';
import { s3Target, type S3Target } from './schema.ts';
import { sendInstance } from './send-instance.ts';
import { testS3 } from './test-connection.ts';

export const s3Handler: TargetHandler<S3Target> = {
  contractVersion,
  type: 's3',
  schema: s3Target,
  deliver,
  testConnection: testS3,
};

/** Stores each pending instance as an object of its own; it is verified when reported. */
async function deliver(run: DeliveryRun<S3Target>): Promise<void> {
  throwIfCancelled(run.signal);
  run.stage('connect');
  const bucket = await openBucket(run.config);
  try {
    const mayList = await enterBucket(bucket, run.signal);
    run.stage('transfer');
    const quarantined = await send(run, bucket, mayList);
    // Each object was verified when it was made, before it was reported.
    run.stage('verify');
    run.stage('finalize');
    await writeMarker(run, bucket, quarantined);
  } finally {
    bucket[Symbol.dispose]();
  }
}

function keysOf(run: DeliveryRun<S3Target>): (instance: ManifestInstance) => string {
  const { key, prefix } = run.config;
  const template = parseTemplate(key);
  // A key has at most 1,024 bytes in UTF-8.
  const limits = { maxPathBytes: 1024 - Buffer.byteLength(prefix), maxSegmentBytes: 200 };
  return (instance) => prefix + renderTemplate(template, run.study, instance, limits);
}

async function send(
  run: DeliveryRun<S3Target>,
  bucket: Bucket,
  mayList: boolean,
): Promise<readonly ManifestInstance[]> {
  const { config, state } = run;
  const keyOf = keysOf(run);
  const permits = new Permits(config.parallel);
  const taken =
    mayList && config.existing === 'compare' ? await takenKeys(bucket, run.pending.map(keyOf), run.signal) : undefined;
  const isLarge = run.pending.some(({ sizeBytes }) => sizeBytes > largeBytes);
  const lanes = isLarge ? { lanes: Math.min(largeAtOnce, config.parallel), prefetch: 0 } : { lanes: config.parallel };
  const pool = new PartPool(new Permits(Math.ceil(config.parallel / 2)), config.partSize);
  const { quarantined } = await inLanes(run, lanes, async (opened, { signal }) => {
    const { instance } = opened;
    const key = keyOf(instance);
    const compare = config.existing === 'compare' && (taken?.has(key) ?? true);
    const object = { key, compare, options: objectOptions(config, run.study, instance) };
    try {
      await sendInstance(run, { bucket, state, permits, pool, signal }, opened, object);
    } catch (thrown) {
      const error = opened.bytes.readError ?? thrown;
      if (error instanceof DispatchError && verdictOf(error) === 'quarantine') {
        await dropUpload(bucket, state, instance, signal);
      }
      throw error;
    }
    return { kind: 'delivered' };
  });
  return quarantined;
}

async function writeMarker(
  run: DeliveryRun<S3Target>,
  bucket: Bucket,
  quarantined: readonly ManifestInstance[],
): Promise<void> {
  const marker = studyMarker(run, run.config.marker, quarantined, keysOf(run));
  if (!marker) return;
  const options = objectOptions({ ...run.config, tags: {}, metadata: {} }, run.study, undefined, 'application/json');
  const object = { key: run.config.prefix + marker.path, options, compare: run.config.existing === 'compare' };
  await putObject(bucket, object, marker.content, run.signal);
}
