import { DispatchError, type DispatchErrorOptions, type ErrorCode, type Stage } from '@dicom-dispatch/core';
import { networkError } from '@dicom-dispatch/target-kit/checks';
import { retryAfterMs } from '../http/retry-after.ts';
import { withoutOptions } from './options-in-use.ts';
import type { S3Target } from './schema.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly remedy?: string;
  /** The server may lack an option that is in use: the remedy names those. */
  readonly isOption?: true;
}

const credentials = 'Check the access key, its secret, and their permissions on the bucket.';

/** Error codes of S3 (API reference, "Error responses") and of servers that speak its protocol. */
const meanings: Readonly<Record<string, Meaning>> = {
  AccessDenied: { code: 'target-unauthorized', reason: 'access is denied', remedy: credentials },
  Forbidden: { code: 'target-unauthorized', reason: 'access is denied', remedy: credentials },
  AllAccessDisabled: { code: 'target-unauthorized', reason: 'all access is disabled', remedy: credentials },
  AccountProblem: { code: 'target-unauthorized', reason: 'there is a problem with the account' },
  InvalidAccessKeyId: { code: 'target-unauthorized', reason: 'the access key is not known', remedy: credentials },
  SignatureDoesNotMatch: {
    code: 'target-unauthorized',
    reason: 'the secret of the access key is wrong',
    remedy: credentials,
  },
  InvalidToken: { code: 'target-unauthorized', reason: 'the session token is not valid', remedy: credentials },
  InvalidClientTokenId: { code: 'target-unauthorized', reason: 'the access key is not known', remedy: credentials },
  ExpiredToken: { code: 'target-unauthorized', reason: 'the session token has expired', remedy: credentials },
  ExpiredTokenException: { code: 'target-unauthorized', reason: 'the session token has expired', remedy: credentials },
  TokenRefreshRequired: { code: 'target-unauthorized', reason: 'the session token has expired', remedy: credentials },
  CredentialsProviderError: {
    code: 'target-unauthorized',
    reason: 'no credentials were found',
    remedy:
      'Set accessKeyId and secretAccessKey, or provide credentials to the dispatcher by environment, profile or role.',
  },
  RequestTimeTooSkewed: {
    code: 'target-misconfigured',
    reason: 'the clocks differ too much',
    remedy: 'Correct the clock of this host: it differs from the clock of the server.',
  },
  NoSuchBucket: {
    code: 'target-misconfigured',
    reason: 'the bucket does not exist',
    remedy: 'Create the bucket, or correct its name.',
  },
  InvalidBucketName: { code: 'target-misconfigured', reason: 'the name of the bucket is not valid' },
  PermanentRedirect: {
    code: 'target-misconfigured',
    reason: 'the bucket is in another region',
    remedy: 'Set region, or endpoint, to that of the bucket.',
  },
  AuthorizationHeaderMalformed: {
    code: 'target-misconfigured',
    reason: 'the bucket is in another region',
    remedy: 'Set region, or endpoint, to that of the bucket.',
  },
  InvalidStorageClass: {
    code: 'target-misconfigured',
    reason: 'the server does not have this storage class',
    remedy: 'Correct or remove storageClass.',
  },
  NotImplemented: {
    code: 'target-misconfigured',
    reason: 'the server does not support the request',
    isOption: true,
  },
  XNotImplemented: {
    code: 'target-misconfigured',
    reason: 'the server does not support the request',
    isOption: true,
  },
  InvalidRequest: { code: 'target-misconfigured', reason: 'the server rejects the request', isOption: true },
  InvalidArgument: {
    code: 'target-misconfigured',
    reason: 'the server rejects the request',
    isOption: true,
  },
  InvalidTag: { code: 'target-misconfigured', reason: 'the server rejects the tags', isOption: true },
  BadRequest: { code: 'target-misconfigured', reason: 'the server rejects the request', isOption: true },
  MissingContentLength: {
    code: 'target-misconfigured',
    reason: 'the server does not support the checksum in use',
    remedy: 'Set checksum to none.',
  },
  NoSuchUpload: { code: 'instance-failed', reason: 'the multipart upload no longer exists' },
  InvalidPart: { code: 'instance-failed', reason: 'a part of the upload no longer exists' },
  InvalidPartOrder: { code: 'instance-failed', reason: 'the parts of the upload are not in order' },
  EntityTooSmall: { code: 'instance-failed', reason: 'a part of the upload is too small for the server' },
  PreconditionFailed: { code: 'instance-failed', reason: 'the key was used by another upload in the meantime' },
  ConditionalRequestConflict: { code: 'instance-failed', reason: 'the key is being written by others' },
  KMSDisabledException: { code: 'target-misconfigured', reason: 'the KMS key is disabled', remedy: 'Enable the key.' },
  'KMS.DisabledException': {
    code: 'target-misconfigured',
    reason: 'the KMS key is disabled',
    remedy: 'Enable the key.',
  },
  'KMS.NotFoundException': {
    code: 'target-misconfigured',
    reason: 'the KMS key does not exist',
    remedy: 'Correct kmsKeyId.',
  },
  EntityTooLarge: {
    code: 'target-full',
    reason: 'the size exceeds its limit',
    remedy: 'Raise the quota of the bucket or account, or the size limit of a proxy in front of the server.',
  },
  QuotaExceeded: { code: 'target-full', reason: 'the quota is used up' },
  XMinioAdminBucketQuotaExceeded: { code: 'target-full', reason: 'the quota of the bucket is used up' },
  XMinioStorageFull: { code: 'target-full', reason: 'there is no space left' },
  InsufficientStorage: { code: 'target-full', reason: 'there is no space left' },
  SlowDown: { code: 'target-busy', reason: 'it asks us to slow down' },
  ServiceUnavailable: { code: 'target-busy', reason: 'it is temporarily unavailable' },
  Busy: { code: 'target-busy', reason: 'it is busy' },
  RequestLimitExceeded: { code: 'target-busy', reason: 'it asks us to slow down' },
  ThrottlingException: { code: 'target-busy', reason: 'it asks us to slow down' },
  TooManyRequests: { code: 'target-busy', reason: 'it asks us to slow down' },
  OperationAborted: { code: 'target-busy', reason: 'another operation on the bucket is in progress' },
  RequestTimeout: { code: 'target-timeout', reason: 'it waited too long for the request body' },
  TimeoutError: { code: 'target-timeout', reason: 'it did not answer in time' },
  BadDigest: { code: 'instance-failed', reason: 'the received bytes have a different checksum' },
  InvalidDigest: { code: 'instance-failed', reason: 'the received bytes have a different checksum' },
  XAmzContentSHA256Mismatch: { code: 'instance-failed', reason: 'the received bytes have a different checksum' },
  IncompleteBody: { code: 'instance-failed', reason: 'not all bytes arrived' },
  KeyTooLongError: {
    code: 'target-misconfigured',
    reason: 'the key exceeds the length limit of the server',
    remedy: 'Shorten prefix and key.',
  },
};

/**
 * An error of the AWS SDK as a DispatchError. Its texts may contain keys, which may contain patient data: only codes
 * and statuses are shown.
 */
export function translateS3Error(
  thrown: unknown,
  { host, config }: { readonly host: string; readonly config: S3Target },
  doing: string,
  stage?: Stage,
): DispatchError {
  if (thrown instanceof DispatchError) return thrown;
  const name = nameOf(thrown);
  const status = s3Status(thrown);
  const meaning = meanings[name] ?? byStatus(status);
  const options: DispatchErrorOptions = { cause: thrown, ...(stage && { stage }) };
  if (meaning) {
    const wait = retryAfterMs(headerOf(thrown, 'retry-after'));
    const remedy = meaning.isOption ? withoutOptions(config) : meaning.remedy;
    return new DispatchError(
      meaning.code,
      `${doing} at ${host} failed: ${meaning.reason} (${[name, status].filter(Boolean).join(' ')})`,
      {
        ...options,
        ...(remedy !== undefined && { remedy }),
        ...(wait !== undefined && { retryAfterMs: wait }),
      },
    );
  }
  if (status !== undefined) {
    // An inconclusive response: a page of a proxy, an empty body, an aborted response.
    if (status < 300) return notS3(host, doing, options);
    const code = status >= 500 ? 'target-error' : 'target-misconfigured';
    return new DispatchError(code, `${doing} at ${host} failed (${name} ${status})`, options);
  }
  return networkError(thrown, host, options);
}

/** A response that looks like success but is not: the page of a proxy or login, which the SDK parses as an empty result. */
export function notS3(host: string, doing: string, options: DispatchErrorOptions = {}): DispatchError {
  return new DispatchError('target-error', `${doing} at ${host} failed: the response is not from an S3 server`, {
    remedy: 'Check endpoint, and check for a proxy, a gateway or a login page in between.',
    ...options,
  });
}

/** The SDK also throws a TimeoutError for a reset connection; its code shows this. */
function nameOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  const reset = 'code' in thrown && (thrown.code === 'ECONNRESET' || thrown.code === 'EPIPE');
  return reset ? String(thrown.code) : thrown.name;
}

/** Whether the response reports a missing object or upload. */
export function isNotThere(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  if (thrown.name === 'NoSuchBucket') return false;
  return ['NotFound', 'NoSuchKey', 'NoSuchUpload'].includes(thrown.name) || s3Status(thrown) === 404;
}

/** Whether a conditional request found that the key is taken, or being written by others. */
export function isTaken(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  return ['PreconditionFailed', 'ConditionalRequestConflict'].includes(thrown.name) || s3Status(thrown) === 412;
}

export function s3Status(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('$metadata' in thrown)) return undefined;
  return (thrown.$metadata as { readonly httpStatusCode?: number }).httpStatusCode;
}

function byStatus(status: number | undefined): Meaning | undefined {
  switch (status) {
    case 301:
    case 307:
    case 308:
      return meanings['PermanentRedirect'];
    case 400:
      return meanings['BadRequest'];
    case 401:
    case 403:
      return meanings['AccessDenied'];
    case 408:
    case 460:
    case 499:
      return { code: 'target-busy', reason: 'it gave the request up' };
    case 411:
      return meanings['MissingContentLength'];
    case 409:
      return meanings['ConditionalRequestConflict'];
    case 412:
      return meanings['PreconditionFailed'];
    case 413:
      return meanings['EntityTooLarge'];
    case 429:
      return meanings['SlowDown'];
    case 501:
      return meanings['NotImplemented'];
    case 503:
      return meanings['ServiceUnavailable'];
    case 507:
      return meanings['InsufficientStorage'];
    default:
      return undefined;
  }
}

function headerOf(thrown: unknown, header: string): string | undefined {
  if (!(thrown instanceof Error) || !('$response' in thrown)) return undefined;
  const response = thrown.$response as { readonly headers?: Readonly<Record<string, string>> } | undefined;
  return response?.headers?.[header];
}
