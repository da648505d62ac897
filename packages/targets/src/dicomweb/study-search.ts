import { setTimeout as pause } from 'node:timers/promises';
import { asDispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { cancelledError, throwIfCancelled } from '@dicom-dispatch/target-kit/flow';
import type { HttpConnection } from '../http/index.ts';
import { AbsentBefore } from './absent-before.ts';
import { uidOf, type JsonDataset } from './dicom-json.ts';
import { greet, type Greeting, type SearchAbility } from './greet.ts';
import { askPage, readResults, searchAll, searchPage, type QidoQuery } from './qido.ts';
import { searchIn } from './resource-address.ts';
import type { DicomwebTarget } from './schema.ts';

/** Which of some instances the service lists. */
export interface Presence {
  readonly there: readonly ManifestInstance[];
  readonly missing: readonly ManifestInstance[];
}

const sopInstanceUid = '00080018';
/** Number of missing instances that are queried individually; if none of them exists, the list counts as complete. */
const sample = 20;

/** Searches by QIDO-RS in the study of one run. */
export class StudySearch {
  readonly #run: DeliveryRun<DicomwebTarget>;
  readonly #http: HttpConnection;
  #ability: SearchAbility;
  readonly #hasStudy: boolean;
  readonly #absent: AbsentBefore;
  /** SOP Instance UIDs of several instances of the study, which a search cannot distinguish. */
  readonly #shared: ReadonlySet<string>;

  private constructor(
    run: DeliveryRun<DicomwebTarget>,
    http: HttpConnection,
    { ability, hasStudy }: Greeting,
    absent: AbsentBefore,
  ) {
    this.#run = run;
    this.#http = http;
    this.#ability = ability;
    this.#hasStudy = hasStudy;
    this.#absent = absent;
    const seen = new Set<string>();
    this.#shared = new Set(
      run.manifest.flatMap(({ sopInstanceUid: uid }) => (seen.has(uid) ? uid : (seen.add(uid), []))),
    );
  }

  /**
   * Checks whether the service can be searched.
   *
   * @param absent - instances that an earlier attempt found missing there
   */
  static async open(
    run: DeliveryRun<DicomwebTarget>,
    http: HttpConnection,
    absent = AbsentBefore.of(undefined),
  ): Promise<StudySearch> {
    const greeting = await greet(http, run.config, run.study.studyInstanceUid, run.signal);
    return new StudySearch(run, http, greeting, absent);
  }

  /**
   * Checks which of the instances to send the service has, and remembers those that it lacks.
   *
   * @returns existing instances: sent by this delivery (`isOurs`), or from elsewhere with unknown content
   */
  async lookBeforeSending(): Promise<readonly ManifestInstance[]> {
    const { pending } = this.#run;
    const isFirst = this.absentBefore === '';
    if (isFirst && !this.canAnswer) return [];
    const presence = isFirst && !this.#hasStudy ? { there: [], missing: pending } : await this.presenceNow(pending);
    for (const instance of presence?.missing ?? []) this.#absent.add(instance);
    return presence?.there ?? [];
  }

  /** Data to store with the delivery. */
  get absentBefore(): string {
    return this.#absent.kept;
  }

  get canAnswer(): boolean {
    return this.#ability === 'yes';
  }

  /** Whether an instance that is listed now was sent by this delivery. */
  isOurs(instance: ManifestInstance): boolean {
    return this.#absent.has(instance) && !this.#shared.has(instance.sopInstanceUid);
  }

  /** Like `presence`, but does not wait for instances that the service may still be storing; undefined also after an error. */
  async presenceNow(instances: readonly ManifestInstance[]): Promise<Presence | undefined> {
    try {
      const found = await this.#look(instances);
      return found && (await this.#thorough(found));
    } catch (thrown) {
      throwIfCancelled(this.#run.signal);
      this.#run.log.warn('the target does not list the study', { code: asDispatchError(thrown).code });
      return undefined;
    }
  }

  /**
   * Which of these the service has. As long as queries list more instances, it is still storing, and is queried again.
   *
   * @returns undefined if it does not support search
   * @throws {DispatchError} if a search fails
   */
  async presence(instances: readonly ManifestInstance[]): Promise<Presence | undefined> {
    let found = await this.#look(instances);
    if (!found) return undefined;
    const endMs = performance.now() + this.#run.config.verifyTimeout;
    for (let waitMs = 250, idle = 0; found.missing.length > 0 && idle < 2 && performance.now() < endMs; waitMs *= 2) {
      await this.#pause(Math.min(waitMs, 5000));
      const next: Presence = (await this.#look(instances)) ?? found;
      idle = next.there.length > found.there.length ? 0 : idle + 1;
      found = next;
    }
    return this.#thorough(found);
  }

  /**
   * Which of these the service lists, with a wait of up to `verifyTimeout` for missing ones: some services store first and index later.
   * The first list may be an earlier one, if no instance was sent since it was requested.
   *
   * @returns undefined if it does not support search
   */
  async presenceAfterWait(instances: readonly ManifestInstance[]): Promise<Presence | undefined> {
    const endMs = performance.now() + this.#run.config.verifyTimeout;
    let found: Presence | undefined;
    for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 5000)) {
      if (!this.canAnswer && !(await this.#tryAgain())) return undefined;
      found = divide(instances, await this.#list({ fresh: found !== undefined }));
      const leftMs = endMs - performance.now();
      if (found.missing.length === 0) return found;
      if (leftMs <= 0) return this.#thorough(found);
      await this.#pause(Math.min(waitMs, leftMs));
    }
  }

  async #look(instances: readonly ManifestInstance[]): Promise<Presence | undefined> {
    if (!this.canAnswer && !(await this.#tryAgain())) return undefined;
    return divide(instances, await listStudy(this.#run, this.#http));
  }

  #list(options: { readonly fresh: boolean }): Promise<ReadonlySet<string>> {
    const { studyInstanceUid } = this.#run.study;
    const ask = (): Promise<ReadonlySet<string>> => listStudy(this.#run, this.#http);
    return this.#run.listed?.({ studyInstanceUid }, ask, options) ?? ask();
  }

  /** Some services respond with 404 for a study that they do not have yet: a later query may succeed. */
  async #tryAgain(): Promise<boolean> {
    const { signal } = this.#run;
    const { address, keys } = instancesOf(this.#run);
    const answer = await askPage(this.#http, address, keys, [], { limit: 1, offset: 0 }, signal);
    const isSearch = answer.status === 200 && readResults(await answer.text(4_000_000), sopInstanceUid) !== undefined;
    if (!isSearch) await answer.discard();
    if (isSearch || answer.status === 204) this.#ability = 'yes';
    return this.canAnswer;
  }

  /** The service may limit its lists: missing instances are queried by series, then individually. */
  async #thorough({ there, missing }: Presence): Promise<Presence> {
    if (missing.length === 0) return { there, missing };
    const bySeries = Map.groupBy(missing, ({ seriesInstanceUid }) => seriesInstanceUid);
    const extra = new Set<string>();
    if (missing.length > sample) {
      for (const uid of bySeries.keys()) for (const found of await this.#listSeries(uid)) extra.add(found);
    }
    const rest = missing.filter((one) => !extra.has(one.sopInstanceUid));
    let hits = 0;
    for (const [index, instance] of rest.entries()) {
      if (index >= sample && hits === 0) break;
      if (!(await this.#has(instance))) continue;
      hits += 1;
      extra.add(instance.sopInstanceUid);
    }
    if (extra.size === 0) return { there, missing };
    const more = divide(missing, extra);
    return { there: [...there, ...more.there], missing: more.missing };
  }

  async #listSeries(seriesInstanceUid: string): Promise<string[]> {
    const query = { ...instancesOf(this.#run, seriesInstanceUid), uidTag: sopInstanceUid };
    return uidsOf(this.#run, this.#http, query, seriesInstanceUid);
  }

  async #has({ seriesInstanceUid, sopInstanceUid: uid }: ManifestInstance): Promise<boolean> {
    const { address, keys } = instancesOf(this.#run, seriesInstanceUid);
    const query = { address, keys: { ...keys, SOPInstanceUID: uid }, uidTag: sopInstanceUid };
    const results = await searchPage(this.#http, query, { limit: 2, offset: 0 }, this.#run.signal);
    return results.some(
      (result) => uidOf(result, sopInstanceUid) === uid && isOf(result, this.#run.study, seriesInstanceUid),
    );
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#run;
    await pause(ms, undefined, { signal }).catch(() => {
      throw cancelledError(signal);
    });
  }
}

async function listStudy(run: DeliveryRun<DicomwebTarget>, http: HttpConnection): Promise<ReadonlySet<string>> {
  return new Set(await uidsOf(run, http, { ...instancesOf(run), uidTag: sopInstanceUid }));
}

async function uidsOf(
  { study, signal }: DeliveryRun<DicomwebTarget>,
  http: HttpConnection,
  query: QidoQuery,
  seriesInstanceUid?: string,
): Promise<string[]> {
  const uids: string[] = [];
  for await (const result of searchAll(http, query, signal)) {
    const uid = uidOf(result, sopInstanceUid);
    if (uid !== undefined && isOf(result, study, seriesInstanceUid)) uids.push(uid);
  }
  return uids;
}

/** A service may list more than was requested: an instance of another study or series is a different one. */
function isOf(
  result: JsonDataset,
  { studyInstanceUid }: { readonly studyInstanceUid: string },
  seriesInstanceUid: string | undefined,
): boolean {
  const isSame = (tag: string, wanted: string | undefined): boolean =>
    wanted === undefined || (uidOf(result, tag) ?? wanted) === wanted;
  return isSame('0020000D', studyInstanceUid) && isSame('0020000E', seriesInstanceUid);
}

function instancesOf({ config, study }: DeliveryRun<DicomwebTarget>, seriesInstanceUid?: string) {
  return searchIn(config.qidoUrl ?? config.url, 'instances', study.studyInstanceUid, seriesInstanceUid);
}

function divide(instances: readonly ManifestInstance[], listed: ReadonlySet<string>): Presence {
  const { there = [], missing = [] } = Object.groupBy(instances, ({ sopInstanceUid: uid }) =>
    listed.has(uid) ? 'there' : 'missing',
  );
  return { there, missing };
}
