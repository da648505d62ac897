import type { Send } from './in-lanes.ts';
import type { Suspects } from './suspects.ts';

/** The same sending, with the failures of each instance judged in the light of its earlier ones, and of its siblings. */
export function withSuspects(suspects: Suspects, send: Send): Send {
  return async (opened, context) => {
    const begun = suspects.begin();
    try {
      const outcome = await send(opened, context);
      if (outcome?.kind === 'delivered') await suspects.passed(opened.instance, begun);
      return outcome;
    } catch (thrown) {
      // The source's failures are not the target's.
      if (context.signal.aborted || opened.bytes.readError !== undefined) throw thrown;
      throw await suspects.judge(opened.instance, thrown);
    }
  };
}
