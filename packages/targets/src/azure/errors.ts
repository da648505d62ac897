import { DispatchError, type DispatchErrorOptions, type ErrorCode, type Stage } from '@dicom-dispatch/core';
import { networkError } from '@dicom-dispatch/target-kit/checks';
import { retryAfterMs } from '../http/retry-after.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly remedy?: string;
}

const credentials = 'Check accountKey, sasToken or entra: their expiry, and their permissions on the container.';
const unauthorized = (reason: string): Meaning => ({ code: 'target-unauthorized', reason, remedy: credentials });
const busy = (reason: string): Meaning => ({ code: 'target-busy', reason });

/** Code of the error with which a stalled connection is ended. */
export const silentCode = 'SILENT';

/** Error codes of Blob Storage (REST reference, "Common REST API error codes" and "Blob Storage error codes"). */
const meanings: Readonly<Record<string, Meaning>> = {
  AuthenticationFailed: unauthorized('the credentials are not valid'),
  AuthorizationFailure: unauthorized('access is denied'),
  AuthorizationPermissionMismatch: unauthorized('the credentials do not allow it'),
  AuthorizationProtocolMismatch: unauthorized('the signature does not allow this protocol'),
  AuthorizationResourceTypeMismatch: unauthorized('the signature does not allow it'),
  AuthorizationServiceMismatch: unauthorized('the signature is for another service'),
  AuthorizationSourceIPMismatch: unauthorized('the signature is for other addresses'),
  AccountIsDisabled: unauthorized('the account is disabled'),
  InsufficientAccountPermissions: unauthorized('access is denied'),
  InvalidAuthenticationInfo: unauthorized('the credentials are not valid'),
  NoAuthenticationInformation: unauthorized('it asks for credentials'),
  KeyBasedAuthenticationNotPermitted: unauthorized('the account does not accept keys: use entra'),
  ContainerNotFound: {
    code: 'target-misconfigured',
    reason: 'the container does not exist',
    remedy: 'Create the container, or correct its name.',
  },
  ContainerDisabled: { code: 'target-misconfigured', reason: 'the container is disabled' },
  ResourceNotFound: { code: 'target-misconfigured', reason: 'the account or container does not exist' },
  InvalidResourceName: { code: 'target-misconfigured', reason: 'it rejects the name' },
  AccessTierNotSupportedForBlobType: {
    code: 'target-misconfigured',
    reason: 'it does not have this tier',
    remedy: 'Correct or remove tier.',
  },
  InvalidHeaderValue: { code: 'target-misconfigured', reason: 'it rejects the request' },
  FeatureVersionMismatch: { code: 'target-misconfigured', reason: 'it does not support the request' },
  ContainerBeingDeleted: busy('the container is being deleted'),
  ServerBusy: busy('it asks us to slow down'),
  AccountBeingCreated: busy('the account is being created'),
  OperationTimedOut: { code: 'target-timeout', reason: 'it did not finish in time' },
  Md5Mismatch: { code: 'instance-failed', reason: 'the received bytes have a different MD5' },
  InvalidMd5: { code: 'instance-failed', reason: 'the received bytes have a different MD5' },
  InvalidBlockList: { code: 'instance-failed', reason: 'blocks of the upload no longer exist' },
  InvalidBlobOrBlock: { code: 'instance-failed', reason: 'another type of upload to this name is in progress' },
  BlobAlreadyExists: { code: 'instance-failed', reason: 'the name was used by another upload in the meantime' },
  ConditionNotMet: { code: 'instance-failed', reason: 'the blob was changed in the meantime' },
  BlobImmutableDueToPolicy: { code: 'target-conflict', reason: 'a policy prevents changes to the existing blob' },
  BlobArchived: { code: 'target-conflict', reason: 'the existing blob is archived and cannot be compared' },
  LeaseIdMissing: { code: 'target-conflict', reason: 'another client holds a lease on the existing blob' },
  RequestBodyTooLarge: {
    code: 'target-full',
    reason: 'the size exceeds its limit',
    remedy: 'Lower blockSize, or raise the size limit of a proxy in front of the server.',
  },
  AccountLimitExceeded: { code: 'target-full', reason: 'the limit of the account is reached' },
};

/**
 * An error of the Azure SDK as a DispatchError. The texts of the SDK contain blob names, which may contain patient data: only codes
 * are shown.
 */
export function translateAzureError(thrown: unknown, host: string, doing: string, stage?: Stage): DispatchError {
  if (thrown instanceof DispatchError) return thrown;
  const status = azureStatus(thrown);
  const name = azureCode(thrown);
  const options: DispatchErrorOptions = { cause: thrown, ...(stage && { stage }) };
  const meaning = meanings[name] ?? (status === undefined ? undefined : byStatus(status));
  if (meaning) {
    const wait = retryAfterMs(headerOf(thrown, 'retry-after'));
    return new DispatchError(
      meaning.code,
      `${doing} at ${host} failed: ${meaning.reason} (${[name, status].filter(Boolean).join(' ')})`,
      {
        ...options,
        ...(meaning.remedy !== undefined && { remedy: meaning.remedy }),
        ...(wait !== undefined && { retryAfterMs: wait }),
      },
    );
  }
  if (status !== undefined) {
    if (status < 300) return notAzure(host, doing, options);
    const code = status >= 500 ? 'target-error' : 'target-misconfigured';
    return new DispatchError(code, `${doing} at ${host} failed (${name} ${status})`, options);
  }
  if (name === silentCode) {
    return new DispatchError('target-timeout', `${doing} at ${host} failed: there was no data for too long`, options);
  }
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (cause instanceof DispatchError) return cause;
  // The SDK throws a TypeError when it parses a response that is not from a blob service.
  if (cause instanceof TypeError) return notAzure(host, doing, options);
  return networkError(cause, host, options);
}

/** A response that looks like success but is not: the page of a proxy or login. */
export function notAzure(host: string, doing: string, options: DispatchErrorOptions = {}): DispatchError {
  return new DispatchError('target-error', `${doing} at ${host} failed: the response is not from a blob service`, {
    remedy: 'Check endpoint, and check for a proxy, a gateway or a login page in between.',
    ...options,
  });
}

export function isNotThere(thrown: unknown): boolean {
  return azureStatus(thrown) === 404 && !['ContainerNotFound', 'ResourceNotFound'].includes(azureCode(thrown));
}

/** Whether a conditional request found that the name is taken, or that the blob has changed. */
export function isTaken(thrown: unknown): boolean {
  return ['BlobAlreadyExists', 'ConditionNotMet', 'TargetConditionNotMet'].includes(azureCode(thrown));
}

export function azureStatus(thrown: unknown): number | undefined {
  const status = thrown instanceof Error && 'statusCode' in thrown ? thrown.statusCode : undefined;
  return typeof status === 'number' ? status : undefined;
}

/** The error code of the service: from the body, or from a header for HEAD, whose responses have no body. */
function azureCode(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  const { details, code } = thrown as { readonly details?: { readonly errorCode?: unknown }; readonly code?: unknown };
  const reason = headerOf(thrown, 'x-ms-error-code') ?? details?.errorCode ?? code;
  return typeof reason === 'string' ? reason : thrown.name;
}

function byStatus(status: number): Meaning | undefined {
  switch (status) {
    case 401:
    case 403:
      return meanings['AuthorizationFailure'];
    case 404:
      return meanings['ResourceNotFound'];
    case 408:
    case 460:
    case 499:
      return { code: 'target-busy', reason: 'it gave the request up' };
    case 409:
    case 412:
      return meanings['ConditionNotMet'];
    case 413:
      return meanings['RequestBodyTooLarge'];
    case 429:
    case 503:
      return meanings['ServerBusy'];
    case 507:
      return { code: 'target-full', reason: 'there is no space left' };
    default:
      return undefined;
  }
}

function headerOf(thrown: unknown, header: string): string | undefined {
  if (!(thrown instanceof Error) || !('response' in thrown)) return undefined;
  const { headers } = (thrown.response ?? {}) as { readonly headers?: { get?(name: string): string | undefined } };
  return headers?.get?.(header);
}
