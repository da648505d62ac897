import { seededRandom } from './random.ts';

const processFaults = ['kill', 'pause'] as const;
const linkFaults = ['cut', 'slow', 'latency', 'reset', 'black hole', 'refuse'] as const;
const clockFaults = ['10 minutes ahead', '10 minutes behind', 'a day ahead', 'a day behind'] as const;

/** What the actions of a schedule apply to. */
const faultsOf = {
  router: processFaults,
  'dispatcher 1': [...processFaults, 'terminate'],
  'dispatcher 2': [...processFaults, 'terminate'],
  redis: [...processFaults, 'out of memory', 'emptied', 'rolled back'],
  orthanc: processFaults,
  pacs: ['down', 'die at an instance'],
  'source link': linkFaults,
  'pacs link': linkFaults,
  'redis link': linkFaults,
  /** A proxy in front of Orthanc responds in its place: to everything, or for one study. */
  'source answers': ['404', '403', '429', '500', 'a login page', 'nothing'],
  attachments: ['missing'],
  'clock of the router': clockFaults,
  'clock of dispatcher 1': clockFaults,
  'clock of orthanc': clockFaults,
  board: ['remove a delivery', 'remove a study task', 'retry', 'promote all', 'put off'],
  disk: ['fill'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Victim = keyof typeof faultsOf;
export const victims = Object.keys(faultsOf) as readonly Victim[];
export type Fault = (typeof faultsOf)[Victim][number];

/** What is left broken at the end until `status --check` reports it. */
export const exams = [
  'pacs down',
  'source answers 500',
  'source answers 404',
  'source answers a login page',
  'router killed',
  'dispatchers killed',
  'clock of the router',
  'clock of orthanc',
  'attachment missing',
  'redis away',
] as const;
export type Exam = (typeof exams)[number];

export interface Disturbance {
  readonly kind: 'fault';
  readonly victim: Victim;
  readonly fault: Fault;
  readonly forMs: number;
  /** Picks one of several: a study, a delivery. */
  readonly of: number;
}

export type ScheduleStep =
  | { readonly kind: 'upload'; readonly study: number; readonly series: number; readonly instances: number }
  | Disturbance;

export interface Schedule {
  readonly seed: number;
  /** Each step with the pause before it, in milliseconds. */
  readonly steps: readonly { readonly afterMs: number; readonly step: ScheduleStep }[];
  readonly exam: Exam | undefined;
  /** `arrival`: studies are sent while they are received, slowly, and one of their instances is deleted meanwhile. */
  readonly start: 'arrival' | 'stable';
}

export interface ScheduleSize {
  readonly studies: number;
  readonly faults: number;
  /** Whether something is left broken at the end until `status --check` reports it. */
  readonly exam?: boolean;
  /** Default `stable`. */
  readonly start?: Schedule['start'];
}

/** The services whose clocks a schedule sets wrong. */
export function clocksOf({ steps, exam }: Schedule): { router: boolean; dispatcher: boolean; orthanc: boolean } {
  const all = new Set<string>(steps.map(({ step }) => (step.kind === 'fault' ? step.victim : '')));
  if (exam) all.add(exam);
  return {
    router: all.has('clock of the router'),
    dispatcher: all.has('clock of dispatcher 1'),
    orthanc: all.has('clock of orthanc'),
  };
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
    // Sometimes a pause is longer than every lock and lease.
    const forMs = random() < 0.2 ? between(4_000, 7_000) : between(100, 2_500);
    // The order of uploads stays the same; faults are inserted anywhere between them.
    steps.splice(between(0, steps.length), 0, { kind: 'fault', victim, fault, forMs, of: between(0, 1_000) });
  }
  return {
    seed,
    steps: steps.map((step) => ({ afterMs: between(20, 900), step })),
    exam: size.exam === true ? pick(exams) : undefined,
    start: size.start ?? 'stable',
  };
}
