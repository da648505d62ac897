import { Agent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import type { Stage } from '@dicom-dispatch/core';
import { until } from '../flow/index.ts';
import { tlsOptions } from '../http/tls-files.ts';
import { translateS3Error } from './errors.ts';
import type { S3Target } from './schema.ts';

/** A bucket in use; its errors are translated, and each request ends with the signal. */
export interface Bucket extends Disposable {
  readonly config: S3Target;
  readonly name: string;
  /** Who answers, for messages. */
  readonly host: string;
  readonly client: S3Client;
  /** Runs requests; `doing` is a verb with -ing for the error. */
  act<T>(
    doing: string,
    signal: AbortSignal,
    request: (options: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T>;
  /** The same, for what has its own use for the SDK's errors. */
  raw<T>(signal: AbortSignal, request: (options: { abortSignal: AbortSignal }) => Promise<T>): Promise<T>;
}

export async function openBucket(config: S3Target, stage?: Stage): Promise<Bucket> {
  const tls = config.tls ? await tlsOptions(config.tls) : {};
  const handler = {
    connectionTimeout: config.connectTimeout,
    socketTimeout: config.timeout,
    // The default warns on the console when many requests wait for a socket; here permits bound their number.
    httpAgent: { keepAlive: true, maxSockets: config.parallel + 2 },
    httpsAgent: new Agent({ keepAlive: true, maxSockets: config.parallel + 2, ...tls }),
  };
  const client = new S3Client({
    region: config.region,
    forcePathStyle: config.pathStyle ?? config.endpoint !== undefined,
    maxAttempts: config.requestAttempts,
    requestHandler: handler,
    logger: silent,
    ...(config.endpoint !== undefined && { endpoint: config.endpoint }),
    ...checksumMode(config),
    ...credentialsOf(config),
  });
  const host = config.endpoint ? new URL(config.endpoint).host : `s3.${config.region}`;
  return {
    config,
    name: config.bucket,
    host,
    client,
    raw: (signal, request) => until(request({ abortSignal: signal }), signal),
    async act(doing, signal, request) {
      try {
        return await until(request({ abortSignal: signal }), signal);
      } catch (thrown) {
        throw translateS3Error(thrown, host, doing, stage);
      }
    },
    [Symbol.dispose]: () => client.destroy(),
  };
}

const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

function checksumMode({ checksum }: S3Target): Partial<S3ClientConfig> {
  const mode = checksum === 'none' || checksum === 'md5' ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED';
  return { requestChecksumCalculation: mode, responseChecksumValidation: mode };
}

/** Keys as configured, else the SDK's default chain (environment, profile, container, instance); then the role. */
function credentialsOf(config: S3Target): Partial<S3ClientConfig> {
  const { accessKeyId, secretAccessKey, sessionToken, role } = config;
  const keys =
    accessKeyId !== undefined && secretAccessKey
      ? {
          accessKeyId,
          secretAccessKey: secretAccessKey.reveal(),
          ...(sessionToken && { sessionToken: sessionToken.reveal() }),
        }
      : undefined;
  if (!role) return keys ? { credentials: keys } : {};
  const provider = fromTemporaryCredentials({
    ...(keys && { masterCredentials: keys }),
    params: {
      RoleArn: role.arn,
      RoleSessionName: role.sessionName,
      DurationSeconds: Math.round(role.duration / 1000),
      ...(role.externalId !== undefined && { ExternalId: role.externalId }),
    },
    clientConfig: {
      region: config.region,
      logger: silent,
      ...(role.stsEndpoint !== undefined && { endpoint: role.stsEndpoint }),
    },
  });
  return { credentials: provider };
}
