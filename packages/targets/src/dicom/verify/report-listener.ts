import { UID, type DimseServer } from 'dicom-dimse';
import { listen } from '../listen.ts';
import { littleEndian } from '../little-endian.ts';
import type { DicomListener } from '../schema.ts';
import { CommitmentReports } from './commitment-reports.ts';

/** How long it goes on listening for reports that are due when no run waits for them: until the next attempt. */
const lingerMs = 3_600_000;

interface Shared {
  readonly server: Promise<DimseServer>;
  users: number;
  linger?: NodeJS.Timeout | undefined;
}

/**
 * Of the process, since runs come and go while a port and the reports that arrive at it stay. Targets with the same
 * address share a listener.
 */
const shared = new Map<string, Shared>();
export const commitmentReports = new CommitmentReports();

/** Listens for reports until the one who asked, and all others, have let go and no report is due. */
export async function openReportListener(listener: DicomListener): Promise<() => void> {
  const key = JSON.stringify(listener);
  const entry = shared.get(key) ?? { server: start(listener), users: 0 };
  shared.set(key, entry);
  entry.users += 1;
  clearTimeout(entry.linger);
  try {
    await entry.server;
  } catch (error) {
    if (shared.get(key) === entry) shared.delete(key);
    throw error;
  }
  return () => {
    entry.users -= 1;
    if (entry.users > 0) return;
    entry.linger = setTimeout(
      () => {
        shared.delete(key);
        commitmentReports.forgetUnwaited();
        void entry.server.then((server) => server.close());
      },
      commitmentReports.isDue ? lingerMs : 0,
    );
    entry.linger.unref();
  };
}

async function start(listener: DicomListener): Promise<DimseServer> {
  const server = await listen('commitment.listener', listener, {
    presentationContexts: [
      {
        abstractSyntax: UID.storageCommitmentPushModel,
        transferSyntaxes: littleEndian,
        // The one who reports is the SCP, also as requestor (PS3.4 section J.3.3).
        requestorRoles: { scu: true, scp: true },
      },
    ],
    handlers: { eventReport: (request) => commitmentReports.take(request) },
  });
  server.unref();
  return server;
}
