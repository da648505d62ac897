import { setTimeout as sleep } from 'node:timers/promises';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import type { Logger, RedisWatch } from '@dicom-dispatch/runtime';
import { endLoss, type Loss } from '@dicom-dispatch/state/generation';
import type { Notes } from './notes.ts';
import type { NotesFile } from './notes-file.ts';
import { readAnswer, type AnswerState } from './operator-answer.ts';
import { recover } from './recover.ts';
import { NoteTaker } from './take-notes.ts';

const takeEveryMs = 1_000;
const writeEveryMs = 3_000;
const lookMs = 500;
const lockMs = 30_000;
/** Routers with current notes go first, then those with notes in a file, then those without. */
const waitsMs = { live: 0, file: 4_000, none: 12_000 } as const;

export interface RecoveryDependencies {
  readonly context: PipelineContext;
  readonly watch: RedisWatch;
  /** Location of the notes outside Redis; undefined: only in memory. */
  readonly file: NotesFile | undefined;
  /** Start position of a source chosen by an operator. */
  answers(answer: AnswerState, source: string): ReturnType<Parameters<typeof recover>[0]['answers']>;
  readonly log: Logger;
}

/**
 * Takes notes of the data in Redis, and restores them when Redis has lost its data. Every router does so; one of them
 * recovers.
 */
export class RouterRecovery {
  readonly #dependencies: RecoveryDependencies;
  readonly #taker: NoteTaker;
  readonly #stopping = new AbortController();
  readonly #done: Promise<unknown>;
  #fromFile: Notes | undefined;
  #isWritable = true;
  #writtenAt = 0;
  #written: Notes | undefined;

  /** @param fromFile - notes of a previous process */
  constructor(dependencies: RecoveryDependencies, fromFile: Notes | undefined) {
    this.#dependencies = dependencies;
    this.#fromFile = fromFile;
    this.#taker = new NoteTaker(dependencies.context, dependencies.watch, fromFile);
    this.#done = this.#run();
  }

  /** Whether the notes survive this process. */
  get isKept(): boolean {
    return this.#dependencies.file !== undefined && this.#isWritable;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
    if (this.#dependencies.watch.standing.kind === 'good') await this.#write(this.#taker.notes);
  }

  async #run(): Promise<void> {
    const { watch, log } = this.#dependencies;
    const { signal } = this.#stopping;
    let takenAt = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      const { standing } = watch;
      try {
        if (standing.kind === 'lost') await this.#recoverInTurn(standing.loss);
        else if (standing.kind === 'good' && performance.now() - takenAt > takeEveryMs) {
          await this.#take();
          takenAt = performance.now();
        }
      } catch (error) {
        if (watch.standing.kind === 'lost') log.error({ err: error }, 'Redis could not be recovered; trying again');
        else log.debug({ err: error }, 'notes of the data in Redis could not be taken');
      }
      await sleep(lookMs, undefined, { signal }).catch(() => {});
    }
  }

  async #take(): Promise<void> {
    const notes = await this.#taker.take();
    this.#fromFile = undefined;
    if (performance.now() - this.#writtenAt < writeEveryMs) return;
    await this.#write(notes);
  }

  async #write(notes: Notes | undefined): Promise<void> {
    const { file, watch, log } = this.#dependencies;
    if (!file || !notes || notes === this.#written) return;
    this.#writtenAt = performance.now();
    try {
      await file.write(notes);
      this.#written = notes;
      if (!this.#isWritable) log.info({ file: file.path }, 'notes of the data in Redis can be written again');
      this.#isWritable = true;
      watch.note({ notesUnwritableAt: undefined });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (this.#isWritable) {
        log.warn(
          { file: file.path, code },
          'notes of the data in Redis cannot be written: if Redis and all routers are lost together, an operator must choose where sources start',
        );
        watch.note({ notesUnwritableAt: watch.clock.now() });
      }
      this.#isWritable = false;
    }
  }

  /** Waits for a router with better notes, and recovers if there is none. */
  async #recoverInTurn(loss: Loss): Promise<void> {
    const { watch } = this.#dependencies;
    const beganAt = performance.now();
    while (watch.standing.kind === 'lost' && !this.#stopping.signal.aborted) {
      const waitMs = this.#taker.notes ? waitsMs.live : this.#fromFile ? waitsMs.file : waitsMs.none;
      if (performance.now() - beganAt >= waitMs) await this.#recover(loss);
      await sleep(lookMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
    }
  }

  async #recover(loss: Loss): Promise<void> {
    const { context, watch, log } = this.#dependencies;
    const { redis, keys, config } = context;
    const { prefix } = config().redis;
    const token = watch.process;
    if ((await redis.set(keys.recoveryLock, token, 'PX', lockMs, 'NX')) !== 'OK') return;
    const notes = this.#taker.notes ?? this.#fromFile;
    const answer = await readAnswer(redis, prefix);
    const { reports, unknown } = await recover({
      context,
      kind: loss.kind,
      notes,
      answers: (source) => this.#dependencies.answers(answer, source),
    });
    const facts = { loss: loss.kind, notesAgeMs: notes && Math.max(0, loss.at - notes.takenAt), sources: reports };
    if (unknown.length > 0) {
      const isNew = (await redis.hget(keys.generation, 'asks')) === null;
      await redis.hset(keys.generation, 'asks', JSON.stringify(unknown));
      await redis.del(keys.recoveryLock);
      if (isNew) {
        log.error(
          { ...facts, unknown },
          'Redis lost its data, and it is unknown what was routed: choose where to start with "dispatch recover"',
        );
      }
      return;
    }
    const done = await endLoss(redis, prefix, token, { at: watch.clock.now(), by: watch.process, ...facts });
    if (done) log.warn(facts, 'Redis lost data; known data is recovered, and the sources are swept');
  }
}
