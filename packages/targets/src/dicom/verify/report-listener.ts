import { connect, IMPLEMENTATION, UID, type DimseServer } from 'dicom-dimse';
import { DispatchError } from '@dicom-dispatch/core';
import type { Mailbox } from '@dicom-dispatch/target-kit';
import { addressOf, listen } from '../listen.ts';
import { littleEndian } from '../little-endian.ts';
import type { DicomListener } from '../schema.ts';
import { maxReportBytes, takeReport } from './commitment-reports.ts';

const connectMs = 2_000;

interface Shared {
  readonly server: Promise<DimseServer>;
  readonly users: Mailbox[];
}

/** The listeners of the process: targets with the same listener options share one. */
const shared = new Map<string, Shared>();

/**
 * Listens for reports until all users have released it; reports go into their mailboxes.
 *
 * @returns a function that releases it
 * @throws DispatchError `config-invalid` if the address cannot be opened
 */
export async function openReportListener(listener: DicomListener, mailbox: Mailbox): Promise<() => Promise<void>> {
  const key = JSON.stringify(listener);
  const entry = shared.get(key) ?? start(listener);
  shared.set(key, entry);
  entry.users.push(mailbox);
  try {
    await entry.server;
  } catch (error) {
    if (shared.get(key) === entry) shared.delete(key);
    throw error;
  }
  return async () => {
    entry.users.splice(entry.users.indexOf(mailbox), 1);
    if (entry.users.length > 0) return;
    if (shared.get(key) === entry) shared.delete(key);
    await (await entry.server).close();
  };
}

function start(listener: DicomListener): Shared {
  const users: Mailbox[] = [];
  const server = listen('commitment.listener', listener, {
    presentationContexts: [
      {
        abstractSyntax: UID.storageCommitmentPushModel,
        transferSyntaxes: littleEndian,
        // The reporter is the SCP, also as requestor (PS3.4 section J.3.3).
        requestorRoles: { scu: true, scp: true },
      },
    ],
    maxDataSetBytes: maxReportBytes,
    handlers: { eventReport: (request) => takeReport(request, new Set(users)) },
  }).then((one) => {
    one.unref();
    return one;
  });
  return { server, users };
}

/** Whether another dispatcher on this machine listens on the address: its reports are then read from the mailbox. */
export async function isTakenByUs(listener: DicomListener, error: unknown, signal: AbortSignal): Promise<boolean> {
  if (!(error instanceof DispatchError) || codeOf(error) !== 'EADDRINUSE') return false;
  // With TLS this cannot be determined without a certificate, and is assumed.
  if (listener.tls !== undefined) return true;
  const { host, port } = addressOf(listener);
  try {
    const association = await connect({
      host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host,
      port,
      callingAeTitle: 'DISPATCH',
      calledAeTitle: 'DISPATCH',
      presentationContexts: [{ abstractSyntax: UID.verification, transferSyntaxes: littleEndian }],
      connectTimeoutMs: connectMs,
      associationTimeoutMs: connectMs,
      signal,
    });
    await association.release();
    return association.peer.implementationClassUid === IMPLEMENTATION.classUid;
  } catch {
    return false;
  }
}

/** The code of the innermost error, among an error and its causes, that has one. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return codeOf(error.cause) ?? ('syscall' in error && 'code' in error ? String(error.code) : undefined);
}
