import type { ConnectOptions, TlsClientOptions } from 'dicom-dimse';
import { pem } from '../http/tls-files.ts';
import type { AnyDicomTarget } from './schema.ts';

/** Maximum wait for the response to a release: the receiver has confirmed its instances in any case. */
const artimTimeoutMs = 5_000;

/** Options of an association with a target; reads the TLS files of its configuration. @throws DispatchError `config-invalid` */
export async function connectOptions(
  config: AnyDicomTarget,
  presentationContexts: ConnectOptions['presentationContexts'],
  signal: AbortSignal,
): Promise<ConnectOptions> {
  const tls = config.tls && (await tlsClientOptions(config.tls));
  return {
    host: config.host,
    port: config.port,
    callingAeTitle: config.callingAeTitle,
    calledAeTitle: config.calledAeTitle,
    presentationContexts,
    maxPduLengthBytes: config.maxPduLength,
    connectTimeoutMs: config.connectTimeout,
    associationTimeoutMs: config.associationTimeout,
    responseTimeoutMs: config.timeout,
    minBytesPerSecond: config.minBytesPerSecond,
    artimTimeoutMs,
    earlyByte: config.earlyByte,
    signal,
    ...(tls && { tls }),
  };
}

/** All TLS options of the target, for deliveries and for the connection test. */
async function tlsClientOptions(tls: NonNullable<AnyDicomTarget['tls']>): Promise<TlsClientOptions> {
  return {
    ca: tls.ca === undefined ? undefined : await pem('tls.ca', tls.ca),
    cert: tls.cert === undefined ? undefined : await pem('tls.cert', tls.cert),
    key: tls.key === undefined ? undefined : await pem('tls.key', tls.key),
    passphrase: tls.passphrase?.reveal(),
    servername: tls.serverName,
    rejectUnauthorized: tls.verify,
    verifyHostname: tls.verifyHostname,
    profile: tls.profile,
    minVersion: tls.minVersion,
  };
}

/** The same for the address that supports queries (`query`). */
export function queryOptions(
  config: AnyDicomTarget,
  presentationContexts: ConnectOptions['presentationContexts'],
  signal: AbortSignal,
): Promise<ConnectOptions> {
  const { host = config.host, port = config.port, calledAeTitle = config.calledAeTitle } = config.query;
  return connectOptions({ ...config, host, port, calledAeTitle }, presentationContexts, signal);
}
