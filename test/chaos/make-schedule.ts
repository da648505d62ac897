import { seededRandom } from './random.ts';

/** What a schedule does things to. */
export const victims = [
  'router',
  'dispatcher 1',
  'dispatcher 2',
  'redis',
  'orthanc',
  'pacs',
  'source link',
  'pacs link',
  'disk',
] as const;
export type Victim = (typeof victims)[number];

const processFaults = ['kill', 'pause'] as const;
const linkFaults = ['cut', 'slow', 'latency', 'reset', 'black hole', 'refuse'] as const;

const faultsOf = {
  router: processFaults,
  'dispatcher 1': [...processFaults, 'terminate'],
  'dispatcher 2': [...processFaults, 'terminate'],
  redis: processFaults,
  orthanc: processFaults,
  pacs: ['down', 'die at an instance'],
  'source link': linkFaults,
  'pacs link': linkFaults,
  disk: ['fill'],
} as const satisfies Record<Victim, readonly string[]>;

export type Fault = (typeof faultsOf)[Victim][number];

export type ScheduleStep =
  | { readonly kind: 'upload'; readonly study: number; readonly series: number; readonly instances: number }
  | { readonly kind: 'fault'; readonly victim: Victim; readonly fault: Fault; readonly forMs: number };

export interface Schedule {
  readonly seed: number;
  /** Each step with the pause before it, in milliseconds. */
  readonly steps: readonly { readonly afterMs: number; readonly step: ScheduleStep }[];
}

export interface ScheduleSize {
  readonly studies: number;
  readonly faults: number;
}

/** A random but repeatable mix of uploads and faults. A study may be uploaded in two parts, the second one late. */
export function makeSchedule(seed: number, size: ScheduleSize): Schedule {
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const between = (from: number, to: number): number => Math.round(from + random() * (to - from));
  const steps: ScheduleStep[] = [];
  for (let study = 0; study < size.studies; study += 1) {
    const instances = between(4, 20);
    steps.push({ kind: 'upload', study, series: 1, instances });
    if (random() < 0.3) steps.push({ kind: 'upload', study, series: 2, instances });
  }
  for (let count = 0; count < size.faults; count += 1) {
    const victim = pick(victims);
    const fault = pick<Fault>(faultsOf[victim]);
    // Now and then a pause outlasts every lock and lease.
    const forMs = random() < 0.2 ? between(4_000, 7_000) : between(100, 2_500);
    // The order of uploads stays; faults fall in between anywhere.
    steps.splice(between(0, steps.length), 0, { kind: 'fault', victim, fault, forMs });
  }
  return { seed, steps: steps.map((step) => ({ afterMs: between(20, 900), step })) };
}
