import { readFile } from 'node:fs/promises';
import { createSecureContext, type ConnectionOptions } from 'node:tls';
import { DispatchError } from '@dicom-dispatch/core';
import type { HttpTls } from './http-options.ts';

/**
 * The options of node:tls for a `tls` block, with its files read.
 *
 * @throws {DispatchError} `config-invalid` with the name of the file that cannot be read or is invalid
 */
export async function tlsOptions(tls: HttpTls | undefined): Promise<ConnectionOptions> {
  if (!tls) return {};
  const options: ConnectionOptions = { rejectUnauthorized: tls.verify };
  if (tls.serverName !== undefined) options.servername = tls.serverName;
  if (tls.ca !== undefined) options.ca = await pem('tls.ca', tls.ca);
  if (tls.cert !== undefined) options.cert = await pem('tls.cert', tls.cert);
  if (tls.key !== undefined) options.key = await pem('tls.key', tls.key);
  if (tls.passphrase) options.passphrase = tls.passphrase.reveal();
  try {
    createSecureContext(options);
  } catch (thrown) {
    throw new DispatchError('config-invalid', 'tls: the certificates or the key cannot be used together', {
      cause: thrown,
      remedy: 'Check that cert, key and passphrase belong together and are PEM.',
    });
  }
  return options;
}

/** @throws {DispatchError} `config-invalid` naming the file that cannot be read, or is no PEM file */
export async function pem(field: string, path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.includes('-----BEGIN ')) return text;
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unreadable';
    throw new DispatchError('config-invalid', `${field}: ${path} cannot be read (${code})`, {
      cause: thrown,
      remedy: 'Correct the path, or allow the dispatcher to read the file.',
    });
  }
  throw new DispatchError('config-invalid', `${field}: ${path} is not a PEM file`);
}
