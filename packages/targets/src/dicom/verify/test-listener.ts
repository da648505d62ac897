import type { Mailbox } from '@dicom-dispatch/target-kit';
import type { DicomListener } from '../schema.ts';
import { isTakenByUs, openReportListener } from './report-listener.ts';

/** A mailbox that accepts nothing: a report that arrives during the test of an address is rejected, and must be sent again. */
const nobody: Mailbox = {
  expect: async () => {},
  leave: async () => false,
  look: async () => undefined,
  forget: async () => {},
  close: async () => undefined,
  closed: async () => undefined,
  doubt: async () => {},
};

/**
 * Whether reports can reach us: we can listen on the address, or a dispatcher of ours on this machine already does.
 *
 * @returns the finding
 * @throws DispatchError `config-invalid`
 */
export async function testListener(listener: DicomListener, signal: AbortSignal): Promise<string> {
  try {
    const close = await openReportListener(listener, nobody);
    await close();
    return `the listener can receive reports on ${listener.listen}`;
  } catch (error) {
    if (await isTakenByUs(listener, error, signal)) return `${listener.listen} is in use by a running dispatcher`;
    throw error;
  }
}
