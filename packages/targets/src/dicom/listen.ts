import { DispatchError } from '@dicom-dispatch/core';
import { createServer, type AcceptorOptions, type DimseServer } from 'dicom-dimse';
import { tlsOptions } from '../http/tls-files.ts';
import type { DicomListener } from './schema.ts';

/**
 * Opens a receiver of our own.
 *
 * @throws DispatchError `config-invalid` when it cannot listen there, or its TLS files are not what they should be
 */
export async function listen(
  field: string,
  { listen: address, tls }: DicomListener,
  options: AcceptorOptions,
): Promise<DimseServer> {
  const files = tls && (await tlsOptions({ ...tls, verify: true }));
  const server = createServer({
    ...options,
    ...(tls &&
      files && {
        tls: {
          cert: files.cert as string,
          key: files.key as string,
          ca: files.ca as string | undefined,
          passphrase: files.passphrase,
          profile: tls.profile,
        },
      }),
  });
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  try {
    await server.listen({ host, port: Number(address.slice(colon + 1)) });
  } catch (error) {
    throw new DispatchError('config-invalid', `${field}: cannot listen on ${address}`, {
      cause: error,
      remedy: 'Name an address of this machine and a port that nothing else uses.',
    });
  }
  return server;
}
