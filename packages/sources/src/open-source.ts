import { readFile } from 'node:fs/promises';
import type { SourceConfig } from '@dicom-dispatch/core';
import { createOrthancClient, type OrthancClient } from '@dicom-dispatch/orthanc';

export type { OrthancClient } from '@dicom-dispatch/orthanc';

/** A client of the source as configured; reads the TLS files it names. */
export async function openSource(config: SourceConfig): Promise<OrthancClient> {
  const { tls } = config;
  return createOrthancClient({
    url: config.url,
    timeoutMs: config.timeout,
    minBytesPerSecond: config.minBytesPerSecond,
    ...(config.username !== undefined && { username: config.username }),
    ...(config.password && { password: config.password.reveal() }),
    ...(tls && {
      tls: {
        ...(tls.ca !== undefined && { ca: await readFile(tls.ca) }),
        ...(tls.cert !== undefined && { cert: await readFile(tls.cert) }),
        ...(tls.key !== undefined && { key: await readFile(tls.key) }),
        ...(tls.passphrase && { passphrase: tls.passphrase.reveal() }),
        ...(tls.serverName !== undefined && { servername: tls.serverName }),
      },
    }),
  });
}
