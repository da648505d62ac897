import { randomBytes } from 'node:crypto';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { DispatchError } from '@dicom-dispatch/core';
import { probeRemains, runChecks, type CheckStep } from '@dicom-dispatch/target-kit/checks';
import { urlSteps } from '../checks/index.ts';
import type { Check, CheckContext } from '@dicom-dispatch/target-kit';
import { addressOf } from './address.ts';
import { openBucket, type Bucket } from './bucket.ts';
import { enterBucket } from './enter-bucket.ts';
import { translateS3Error } from './errors.ts';
import { lookAtObject } from './look-at-object.ts';
import { checksumAlgorithm, objectOptions } from './object-options.ts';
import { usesConditions } from './options-in-use.ts';
import type { S3Target } from './schema.ts';

const probe = Buffer.from('dicom-dispatch probe\n');

export async function* testS3({ config, signal }: CheckContext<S3Target>): AsyncGenerator<Check> {
  const opened: Bucket[] = [];
  try {
    yield* runChecks([...(await networkStepsOf(config)), ...stepsOf(config, opened)], signal);
  } finally {
    for (const bucket of opened) bucket[Symbol.dispose]();
  }
}

/** Network checks of the host to which deliveries connect. */
async function networkStepsOf(config: S3Target): Promise<CheckStep[]> {
  try {
    return urlSteps(await addressOf(config), config.connectTimeout, config.tls);
  } catch (thrown) {
    return [{ name: 'resolve', run: () => Promise.reject(thrown) }];
  }
}

function stepsOf(config: S3Target, opened: Bucket[]): CheckStep[] {
  const key = `${config.prefix}dicom-dispatch-probe-${randomBytes(6).toString('hex')}`;
  const theBucket = (): Bucket => {
    const bucket = opened[0];
    if (!bucket) throw new DispatchError('internal', 'a check of the bucket runs before that of the credentials');
    return bucket;
  };
  let noBucket: DispatchError | undefined;
  let written = false;
  return [
    {
      name: 'credentials',
      async run() {
        const bucket = await openBucket(config, 'connect');
        opened.push(bucket);
        await bucket.act('Finding credentials', AbortSignal.timeout(30_000), () => bucket.client.config.credentials());
        return config.role
          ? `the role was assumed`
          : config.accessKeyId
            ? 'the configured keys'
            : 'the default credential chain has keys';
      },
    },
    {
      name: 'login',
      async run(signal) {
        try {
          const mayList = await enterBucket(theBucket(), signal);
          return mayList
            ? 'the keys are accepted'
            : 'the keys are accepted; they do not allow listing, which is not required';
        } catch (thrown) {
          if (thrown instanceof DispatchError && thrown.code === 'target-misconfigured') {
            noBucket = thrown;
            return 'the keys are accepted';
          }
          throw thrown;
        }
      },
    },
    {
      name: 'bucket',
      async run() {
        if (noBucket) throw noBucket;
        return `the bucket ${config.bucket} exists`;
      },
    },
    {
      name: 'write',
      async run(signal) {
        const bucket = theBucket();
        const study = { studyInstanceUid: '2.25.0', study: {}, series: new Map() };
        const algorithm = checksumAlgorithm(config);
        const command = new PutObjectCommand({
          ...objectOptions(config, study, undefined, 'text/plain'),
          Bucket: bucket.name,
          Key: key,
          Body: probe,
          ...(usesConditions(config) && { IfNoneMatch: '*' }),
          ...(algorithm && { ChecksumAlgorithm: algorithm }),
        });
        await bucket.act('Storing a probe', signal, (sending) => bucket.client.send(command, sending));
        written = true;
        return 'a probe was stored';
      },
    },
    {
      name: 'read',
      async run(signal) {
        if (config.verify === 'none' && config.existing === 'overwrite') return { skip: 'not needed as configured' };
        const found = await lookAtObject(theBucket(), key, signal);
        if (found?.ContentLength === probe.length) return 'the probe has its size';
        throw new DispatchError('target-error', 'the stored probe is missing, or has a different size');
      },
    },
    {
      name: 'remove',
      // The written probe is always removed.
      always: true,
      async run(signal) {
        if (!written) return { skip: 'no probe was stored' };
        const bucket = theBucket();
        try {
          const command = new DeleteObjectCommand({ Bucket: bucket.name, Key: key });
          await bucket.raw(signal, (sending) => bucket.client.send(command, sending));
          return 'the probe was removed';
        } catch (thrown) {
          return probeRemains(translateS3Error(thrown, bucket, 'Removing the probe', 'connect'), key);
        }
      },
    },
  ];
}
