import type { ConnectOptions } from 'dicom-dimse';
import { tlsOptions } from '../http/tls-files.ts';
import type { AnyDicomTarget } from './schema.ts';

/** A receiver that does not answer a release within this keeps what it has stored: no reason to wait longer. */
const artimTimeoutMs = 5_000;

/** How a target is connected to; reads the TLS files it names. @throws DispatchError `config-invalid` */
export async function connectOptions(
  config: AnyDicomTarget,
  presentationContexts: ConnectOptions['presentationContexts'],
  signal: AbortSignal,
): Promise<ConnectOptions> {
  const { tls } = config;
  const files = tls && (await tlsOptions(tls));
  return {
    host: config.host,
    port: config.port,
    callingAeTitle: config.callingAeTitle,
    calledAeTitle: config.calledAeTitle,
    presentationContexts,
    maxPduLengthBytes: config.maxPduLength,
    connectTimeoutMs: config.connectTimeout,
    associationTimeoutMs: config.associationTimeout,
    responseTimeoutMs: config.responseTimeout,
    minBytesPerSecond: config.minBytesPerSecond,
    artimTimeoutMs,
    earlyByte: config.earlyByte,
    signal,
    ...(tls &&
      files && {
        tls: {
          ca: files.ca as string | undefined,
          cert: files.cert as string | undefined,
          key: files.key as string | undefined,
          passphrase: files.passphrase,
          servername: files.servername,
          rejectUnauthorized: tls.verify,
          verifyHostname: tls.verifyHostname,
          profile: tls.profile,
          minVersion: tls.minVersion,
        },
      }),
  };
}

/** The same for the place where queries are answered. */
export function queryOptions(
  config: AnyDicomTarget,
  presentationContexts: ConnectOptions['presentationContexts'],
  signal: AbortSignal,
): Promise<ConnectOptions> {
  const { host = config.host, port = config.port, calledAeTitle = config.calledAeTitle } = config.query;
  return connectOptions({ ...config, host, port, calledAeTitle }, presentationContexts, signal);
}
