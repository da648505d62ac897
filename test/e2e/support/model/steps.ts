import * as fc from 'fast-check';
import { isLosable } from './lose-keys.ts';

/** The steps that can happen to deliveries. The number of a step selects one of them, or a variant. */
export const happenings = [
  'enqueue',
  'enqueue again',
  'begin',
  'end',
  'put off',
  'die',
  'stall',
  'remove job',
  'obliterate',
  'lose job in lists',
  'fail job',
  'hold',
  'release',
  'retry',
  'cancel',
  'forget',
  'reload',
  'move orphans',
  'drop orphans',
  'board: remove',
  'board: retry',
  'board: promote',
  'board: promote all',
  'board: put off',
  'board: remove study task',
  'out of memory',
  'memory',
  'Redis goes away',
  'Redis is back',
  'lose index',
  'lose record',
  'lose study',
  'lose list',
  'lose held',
  'lose state index',
  'lose study index',
  'lose study uids',
  'reconcile',
] as const;

export type Happening = (typeof happenings)[number];
export type Step = readonly [Happening, number];

/** A third of the steps are those of an undisturbed delivery. */
const any: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom<Happening[]>('enqueue', 'begin', 'end', 'put off', 'Redis is back') },
  { weight: 2, arbitrary: fc.constantFrom(...happenings) },
);

/** Keys of Redis that are lost in a run, also of one study (decision 0027). With more, nothing may be left that names a delivery. */
const maxLosses = 2;

export const steps: fc.Arbitrary<Step[]> = fc
  .array(fc.tuple(any, fc.nat(11)) as fc.Arbitrary<Step>, {
    minLength: 5,
    maxLength: 40,
    // Long ones are as likely as short ones.
    size: 'max',
  })
  .map((all) => {
    let losses = 0;
    return all.filter((step) => !isLoss(step) || (losses += 1) <= maxLosses);
  });

function isLoss([what]: Step): boolean {
  return isLosable(what) || what === 'lose index';
}

/** Sequences in which long runs found errors; tried first. */
export const found: readonly [Step[]][] = [
  // Moved to a target that had the study already, below another study task.
  [
    [
      ['enqueue', 0],
      ['obliterate', 0],
      ['enqueue again', 3],
      ['reload', 0],
      ['move orphans', 0],
    ],
  ],
  // Neither its record, nor a job, nor the record of its study.
  [
    [
      ['enqueue', 0],
      ['obliterate', 0],
      ['enqueue', 0],
      ['lose study', 0],
      ['enqueue', 0],
      ['enqueue', 0],
      ['lose record', 1],
    ],
  ],
  // The same, and its place in the index of studies.
  [
    [
      ['enqueue', 0],
      ['lose study index', 0],
      ['lose study', 0],
      ['board: remove', 0],
      ['enqueue', 0],
      ['enqueue', 0],
      ['lose record', 0],
      ['enqueue', 0],
    ],
  ],
  // Neither its record, nor a job, nor the list of its study.
  [
    [
      ['enqueue', 0],
      ['lose record', 7],
      ['lose list', 0],
      ['obliterate', 0],
      ['enqueue', 0],
      ['enqueue', 0],
      ['enqueue', 0],
      ['enqueue', 0],
    ],
  ],
  // Its record, its job and the list of its study, which was made again without it.
  [
    [
      ['enqueue', 0],
      ['lose record', 3],
      ['lose list', 0],
      ['forget', 0],
      ['obliterate', 0],
    ],
  ],
  // The records of a study and of both of its deliveries, and the job of one.
  [
    [
      ['enqueue', 0],
      ['lose record', 0],
      ['lose record', 1],
      ['remove job', 3],
      ['lose study', 0],
    ],
  ],
];
