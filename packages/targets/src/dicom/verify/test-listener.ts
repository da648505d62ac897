import type { Mailbox } from '@dicom-dispatch/target-kit';
import type { DicomListener } from '../schema.ts';
import { isTakenByUs, openReportListener } from './report-listener.ts';

/** Takes nothing in: what comes while an address is tried has to come again. */
const nobody: Mailbox = {
  expect: async () => {},
  leave: async () => false,
  look: async () => undefined,
  forget: async () => {},
};

/**
 * Whether reports can reach us: we can listen there, or a dispatcher of ours on this machine does so already.
 *
 * @returns what was found
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
