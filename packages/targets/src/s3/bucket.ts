import { Agent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import { DispatchError, type Stage } from '@dicom-dispatch/core';
import { until, withinDeadline } from '@dicom-dispatch/target-kit/flow';
import { tlsOptions } from '../http/tls-files.ts';
import { translateS3Error } from './errors.ts';
import type { S3Target } from './schema.ts';

/** An open bucket; its errors are translated, and each request ends with the signal. */
export interface Bucket extends Disposable {
  readonly config: S3Target;
  readonly name: string;
  /** Name of the server for messages. */
  readonly host: string;
  readonly client: S3Client;
  /** Set once an object has shown that the server has ETags in the form of a checksum that are not checksums. */
  hasOwnEtags: boolean;
  /**
   * Runs requests; `doing` is a verb with -ing for the error.
   *
   * @param bytes - transferred in either direction, for the timeout
   */
  act<T>(doing: string, signal: AbortSignal, request: Request<T>, bytes?: number): Promise<T>;
  /** The same without translating errors, for callers that examine the SDK's errors. */
  raw<T>(signal: AbortSignal, request: Request<T>, bytes?: number): Promise<T>;
}

export type Request<T> = (options: { abortSignal: AbortSignal }) => Promise<T>;

export async function openBucket(config: S3Target, stage?: Stage): Promise<Bucket> {
  const tls = config.tls ? await tlsOptions(config.tls) : {};
  const handler = {
    connectionTimeout: config.connectTimeout,
    socketTimeout: config.timeout,
    // The default agent warns on the console when many requests wait for a socket; here permits limit their number.
    httpAgent: { keepAlive: true, maxSockets: config.maxParallel + 2 },
    httpsAgent: new Agent({ keepAlive: true, maxSockets: config.maxParallel + 2, ...tls }),
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

  /** Socket timeouts detect a server that sends nothing; this limit detects one that sends too slowly. */
  function raw<T>(signal: AbortSignal, request: Request<T>, bytes = 0): Promise<T> {
    return withinDeadline(
      signal,
      longestMs(config, bytes),
      () => new DispatchError('target-timeout', `a request to ${host} was slower than minBytesPerSecond`),
      (limited) => until(request({ abortSignal: limited }), limited),
    );
  }

  return {
    config,
    name: config.bucket,
    host,
    client,
    hasOwnEtags: false,
    raw,
    async act(doing, signal, request, bytes) {
      try {
        return await raw(signal, request, bytes);
      } catch (thrown) {
        throw translateS3Error(thrown, { host, config }, doing, stage);
      }
    },
    [Symbol.dispose]: () => client.destroy(),
  };
}

/** Responses are short except for lists. */
const answerBytes = 500_000;

/** The longest time for a request with its retries; 0 = no limit. */
function longestMs({ minBytesPerSecond, timeout, connectTimeout, requestAttempts }: S3Target, bytes: number): number {
  if (minBytesPerSecond === 0 || timeout === 0) return 0;
  const onceMs = connectTimeout + timeout + ((bytes + answerBytes) / minBytesPerSecond) * 1000;
  // Longer ones do not fit into a timer.
  return Math.min(requestAttempts * onceMs, 2 ** 31 - 1);
}

const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

function checksumMode({ checksum }: S3Target): Partial<S3ClientConfig> {
  const mode = checksum === 'none' || checksum === 'md5' ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED';
  return { requestChecksumCalculation: mode, responseChecksumValidation: mode };
}

/** Configured keys, otherwise the SDK's default chain (environment, profile, container, instance); then the role. */
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
