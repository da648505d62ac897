import { DispatchError } from '@dicom-dispatch/core';
import { createServer, type AcceptorOptions, type DimseServer } from 'dicom-dimse';
import { tlsOptions } from '../http/tls-files.ts';
import type { DicomListener } from './schema.ts';

/**
 * Opens a listener for associations of the receiver.
 *
 * @throws DispatchError `config-invalid` if the address cannot be opened, or the TLS files cannot be read or used
 */
export async function listen(field: string, listener: DicomListener, options: AcceptorOptions): Promise<DimseServer> {
  const { listen: address, tls } = listener;
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
  try {
    await server.listen(addressOf(listener));
  } catch (error) {
    throw new DispatchError('config-invalid', `${field}: cannot listen on ${address}`, {
      cause: error,
      remedy: 'Set an address of this host and a port that is not in use.',
    });
  }
  return server;
}

export function addressOf({ listen: address }: DicomListener): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(colon + 1)) };
}
