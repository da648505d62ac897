import { openReportListener } from './report-listener.ts';
import type { DicomListener } from '../schema.ts';

/** Whether we can listen for reports. @throws DispatchError `config-invalid` */
export async function testListener(listener: DicomListener): Promise<void> {
  const close = await openReportListener(listener);
  close();
}
