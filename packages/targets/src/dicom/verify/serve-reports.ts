import { setTimeout as pause } from 'node:timers/promises';
import type { ServeContext, TargetService } from '@dicom-dispatch/target-kit';
import type { AnyDicomTarget } from '../schema.ts';
import { openReportListener } from './report-listener.ts';

/** Another dispatcher on this machine may have the address; when it ends this one takes over. */
const tryAgainMs = 5_000;

/**
 * Listens for storage commitment reports as long as the dispatcher runs: they may arrive between two attempts of a
 * delivery, after a restart, or for another dispatcher.
 */
export function serveReports({ config, mailbox, log }: ServeContext<AnyDicomTarget>): TargetService {
  const { listener } = config.commitment;
  if (config.verify !== 'commitment' || !listener) return { stop: async () => {} };
  const stop = new AbortController();
  const serving = serve();

  async function serve(): Promise<void> {
    for (let tries = 1; !stop.signal.aborted; tries += 1) {
      let close: (() => Promise<void>) | undefined;
      try {
        close = await openReportListener(listener!, mailbox);
      } catch (error) {
        if (tries === 1) log.warn('storage commitment reports cannot be received', { reason: String(error) });
      }
      if (!close) {
        await pause(tryAgainMs, undefined, { signal: stop.signal, ref: false }).catch(() => {});
        continue;
      }
      if (tries > 1) log.info('storage commitment reports are received', { listen: listener!.listen });
      if (!stop.signal.aborted) {
        await new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve(), { once: true }));
      }
      await close();
    }
  }

  return {
    async stop() {
      stop.abort();
      await serving;
    },
  };
}
