import { describePlace, type Config } from '@dicom-dispatch/core';
import type { Logger } from '@dicom-dispatch/runtime';
import { describeMove, type TargetPlaces } from '@dicom-dispatch/state/target-places';

/** Registers the current places of all targets, and reports those that need a decision. */
export async function registerPlaces(
  places: TargetPlaces,
  config: Pick<Config, 'targets'>,
  log: Logger,
): Promise<void> {
  await Promise.all(Object.keys(config.targets).map((target) => register(target)));

  async function register(target: string): Promise<void> {
    const one = config.targets[target];
    if (!one) return;
    try {
      const verdict = await places.register(target, one);
      if (verdict.kind === 'undecided') {
        log.warn(
          { target, reason: describeMove(target, verdict) },
          'the target has another address: its deliveries wait',
        );
      } else if (verdict.isNew) {
        log.info(
          { target, place: describePlace(verdict.place), ledger: verdict.ledger },
          'address of the target stored',
        );
      }
    } catch (error) {
      // Each delivery checks again before it begins.
      log.warn({ err: error, target }, 'the address of the target could not be compared');
    }
  }
}
