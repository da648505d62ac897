import { DispatchError } from '@dicom-dispatch/core';
import { connect, IMPLEMENTATION, UID } from 'dicom-dimse';
import { littleEndian } from '../little-endian.ts';
import { addressOf } from '../listen.ts';
import type { DicomListener } from '../schema.ts';
import { openReportListener } from './report-listener.ts';

const patienceMs = 2_000;

/**
 * Whether reports can reach us: we can listen there, or a dispatcher of ours on this machine does so already.
 *
 * @returns what was found
 * @throws DispatchError `config-invalid`
 */
export async function testListener(listener: DicomListener, signal: AbortSignal): Promise<string> {
  try {
    const close = await openReportListener(listener);
    close();
    return `we can listen for reports on ${listener.listen}`;
  } catch (error) {
    const isInUse = error instanceof DispatchError && codeOf(error) === 'EADDRINUSE';
    if (isInUse && (listener.tls !== undefined || (await isOurs(listener, signal)))) {
      return `${listener.listen} is in use, by a dispatcher of ours`;
    }
    throw error;
  }
}

async function isOurs(listener: DicomListener, signal: AbortSignal): Promise<boolean> {
  const { host, port } = addressOf(listener);
  try {
    const association = await connect({
      host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host,
      port,
      callingAeTitle: 'DISPATCH',
      calledAeTitle: 'DISPATCH',
      presentationContexts: [{ abstractSyntax: UID.verification, transferSyntaxes: littleEndian }],
      connectTimeoutMs: patienceMs,
      associationTimeoutMs: patienceMs,
      signal,
    });
    await association.release();
    return association.peer.implementationClassUid === IMPLEMENTATION.classUid;
  } catch {
    return false;
  }
}

/** The first code among an error and its causes. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return codeOf(error.cause) ?? ('syscall' in error && 'code' in error ? String(error.code) : undefined);
}
